"""All jobs of a coordinator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any

from coordinator import events as ev
from coordinator.aggregation import AggregationWorker
from coordinator.artifact_store import ArtifactStore
from coordinator.changes import Changes
from coordinator.decisions import Install, Prepare, Train
from coordinator.event_log import EventLog
from coordinator.job import Job, Surroundings
from coordinator.rounds import JobState, start, step
from coordinator.sites import Sites
from models.method import methods
from protos.errors import InvalidInput, StateError
from protos.heap import give_back_heap
from protos.jobs import JobSpec, job_to_json

Work = Prepare | Train | Install


class Jobs:
    """Submitting, finding and waiting; made from the event log, so that a restart is a replay."""

    def __init__(self, log: EventLog, store: ArtifactStore, sites: Sites, scratch: Path) -> None:
        self.progress = Changes()
        self._changes = Changes()
        self._sites = sites
        self._worker = AggregationWorker()
        self._all = Surroundings(log, store, self._worker, self._changes, self.progress, scratch, self._job_ended)
        self._tasks: set[asyncio.Task[None]] = set()
        self._jobs = {name: Job(state, self._all) for name, state in replay(log).items()}

    def resume(self) -> None:
        """Goes on with the jobs of an earlier process. Raises `StateError` where a job's method is not installed."""
        for name, job in self._jobs.items():
            if job.state.outcome is None and job.state.spec.method not in methods():
                raise StateError(f"job {name} needs the method {job.state.spec.method}, which is not installed here")
        if self._active:
            self._spawn(self._worker.start())
        for job in self._jobs.values():
            job.advance()

    def submit(self, spec: JobSpec) -> Job:
        """Starts a job; a repeat of a running job's submission gets that job.

        Raises:
            InvalidInput: the name is taken, a site is unknown or revoked, or the quorum cannot be reached.
        """
        if (known := self._jobs.get(spec.name)) is not None:
            if known.state.spec == spec and known.state.outcome is None:
                return known
            raise InvalidInput(f"there is already a job {spec.name}; give this one another name in its job file")
        event = ev.JobSubmitted(at=time.time(), spec_json=job_to_json(spec), sites=self._invited(spec))
        self._all.log.append(spec.name, event)
        job = self._jobs[spec.name] = Job(start(event), self._all)
        self._spawn(self._worker.start())
        self._changes.notify()
        job.advance()
        return job

    def get(self, name: str) -> Job:
        """A job by name. Raises `InvalidInput` where there is none."""
        if (job := self._jobs.get(name)) is None:
            raise InvalidInput(f"there is no job {name[:80]!r}; 'edgefed job list' lists them")
        return job

    def of_site(self, name: str, site: str) -> Job:
        """A job that a site is invited to. Raises `InvalidInput` where there is none."""
        job = self._jobs.get(name)
        if job is None or site not in job.state.members:
            raise InvalidInput(f"{site} is not invited to a job {name[:80]!r}")
        return job

    def listing(self) -> list[Job]:
        """All jobs in the order of their submission."""
        return list(self._jobs.values())

    async def next_work(self, site: str, ignore: Collection[str], wait_s: float) -> tuple[Job, Work] | None:
        """What a site can do, as soon as there is something, or None when the time is over."""

        def look() -> tuple[Job, Work] | None:
            for name, job in self._jobs.items():
                if name not in ignore and (work := job.work(site)) is not None:
                    return job, work
            return None

        return await self._changes.until(look, wait_s)

    def may_read(self, site: str, digest: str) -> bool:
        """Whether an artifact is a global model of a job that the site has joined."""
        return any(
            past.global_digest == digest
            for job in self._jobs.values()
            if (member := job.state.members.get(site)) is not None and member.state == "joined"
            for past in job.state.rounds
        )

    async def close(self) -> None:
        """Stops everything; what is not finished goes on when the coordinator starts again."""
        for job in self._jobs.values():
            job.close()
        await self._worker.stop()

    @property
    def _active(self) -> bool:
        return any(job.state.outcome is None for job in self._jobs.values())

    def _invited(self, spec: JobSpec) -> tuple[str, ...]:
        enrolled = {site.name for site in self._sites.listing() if not site.revoked}
        if unknown := sorted(set(spec.rounds.sites) - enrolled):
            raise InvalidInput(
                f"job {spec.name} names {', '.join(unknown)}: not enrolled or revoked; 'edgefed coordinator sites' "
                "lists the sites"
            )
        invited = tuple(sorted(spec.rounds.sites or enrolled))
        if not invited:
            raise InvalidInput("no site is enrolled; invite one first: edgefed coordinator invite SITE")
        if spec.rounds.quorum > len(invited):
            raise InvalidInput(f"the quorum of {spec.rounds.quorum} cannot be reached by {len(invited)} sites")
        return invited

    def _job_ended(self) -> None:
        if not self._active:
            self._spawn(self._worker.rest())
            give_back_heap()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def replay(log: EventLog) -> dict[str, JobState]:
    """The state of every job, folded from its events."""
    states: dict[str, JobState] = {}
    for job, event in log.read():
        if isinstance(event, ev.JobSubmitted):
            states[job] = start(event)
        else:
            states[job] = step(states[job], event)
    return states
