"""All jobs of a coordinator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any

from coordinator import events as ev
from coordinator.aggregation import AggregationWorker
from coordinator.answers import Install, Prepare, Train, work_for
from coordinator.artifact_store import ArtifactStore
from coordinator.changes import Changes
from coordinator.effects import Surroundings
from coordinator.event_log import EventLog
from coordinator.fold import start, step
from coordinator.job import Job
from coordinator.rounds import JobState
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
        self._served: dict[str, str] = {}  # site -> the job that it last got work of
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
        """What a site can do, as soon as there is something, or None when the time is over.

        Where several jobs have work for the site, they take turns.
        """

        def look() -> tuple[Job, Work] | None:
            for name in self._turns(site):
                job = self._jobs[name]
                if name not in ignore and (work := job.work(site)) is not None:
                    self._served[site] = name
                    return job, work
            return None

        return await self._changes.until(look, wait_s)

    def queue(self, site: str, at_work_on: str) -> list[str]:
        """The jobs that have work for a site besides the one that it is at work on, in their turn."""
        turns = (name for name in self._turns(site) if name != at_work_on)
        return [name for name in turns if work_for(self._jobs[name].state, site) is not None]

    def invite(self, name: str, site: str) -> Job:
        """Takes an enrolled site into a running job, from the next round on; a repeat changes nothing.

        Raises:
            InvalidInput: there is no such job or site, or the job is over.
        """
        job = self.get(name)
        if site not in self._enrolled():
            raise InvalidInput(f"{site[:80]} is not enrolled, or revoked; 'edgefed coordinator sites' lists the sites")
        if job.state.outcome is not None:
            raise InvalidInput(f"job {name} is over; submit a new one")
        job.record(ev.SiteInvited(at=time.time(), site=site))
        return job

    def leave(self, name: str, site: str, reason: str) -> None:
        """Takes a site out of a job, from the current round on; a repeat changes nothing."""
        self.of_site(name, site).record(ev.SiteLeft(at=time.time(), site=site, reason=reason))

    def may_read(self, site: str, digest: str) -> bool:
        """Whether an artifact is a global model of a job that the site has joined."""
        return any(
            past.global_digest == digest
            for job in self._jobs.values()
            if (member := job.state.members.get(site)) is not None and member.state == "joined"
            for past in job.state.rounds
        )

    def expel_revoked(self) -> None:
        """Takes revoked sites out of all jobs. Raises `StateError` where the database cannot be read or written."""
        for site in self._sites.listing() if self._active else ():
            if site.revoked:
                left = ev.SiteLeft(at=time.time(), site=site.name, reason="its certificate was revoked", discard=True)
                for job in self._jobs.values():
                    job.record(left)

    async def close(self) -> None:
        """Stops everything; what is not finished goes on when the coordinator starts again."""
        for task in self._tasks:
            task.cancel()
        for job in self._jobs.values():
            job.close()
        await self._worker.stop()

    @property
    def _active(self) -> bool:
        return any(job.state.outcome is None for job in self._jobs.values())

    def _invited(self, spec: JobSpec) -> tuple[str, ...]:
        enrolled = self._enrolled()
        if unknown := sorted(set(spec.rounds.sites) - enrolled):
            raise InvalidInput(
                f"job {spec.name} names {', '.join(unknown)}: not enrolled or revoked; 'edgefed coordinator sites' "
                "lists the sites"
            )
        invited = tuple(sorted(spec.rounds.sites or enrolled))
        if not invited:
            raise InvalidInput("no site is enrolled; invite one first: edgefed coordinator invite SITE")
        if fault := spec.rounds.fault_for(len(invited)):
            raise InvalidInput(fault)
        if (fewest := spec.the_method.fewest_updates(spec.the_settings)) > len(invited):
            raise InvalidInput(
                f"the aggregation of [{spec.method}], as it is set, needs {fewest} updates; {len(invited)} sites are "
                "invited"
            )
        return invited

    def _enrolled(self) -> set[str]:
        return {site.name for site in self._sites.listing() if not site.revoked}

    def _turns(self, site: str) -> list[str]:
        names = list(self._jobs)
        last = self._served.get(site)
        after = names.index(last) + 1 if last in self._jobs else 0
        return names[after:] + names[:after]

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
