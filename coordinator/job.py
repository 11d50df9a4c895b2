"""One job as it runs: records events, performs what is decided, keeps its timers.

All of it happens on the event loop, and writing an event down is synchronous: nothing can come between the log, the
state and the next decision. An event costs one fsync.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from coordinator import events as ev
from coordinator.aggregation import AggregationFailed, AggregationWorker, Received
from coordinator.artifact_store import ArtifactStore
from coordinator.changes import Changes
from coordinator.decisions import (
    Aggregate,
    Install,
    Prepare,
    Train,
    Verdict,
    answer_to_update,
    can_deliver,
    decide,
    judge_join,
    lease_fault,
    work_for,
)
from coordinator.event_log import EventLog
from coordinator.rounds import JobState, step
from coordinator.status import Progress
from models.method import RejectedUpdate
from protos.errors import InvalidInput, StateError
from protos.heap import give_back_heap

_LOG = logging.getLogger("coordinator")
_RETRY_S = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What all jobs of a coordinator share.

    Attributes:
        log: where events are written.
        store: where artifacts lie.
        worker: looks into updates and aggregates them.
        changes: told of every event; sites wait for work on it.
        progress: told of heartbeats as well; only watchers wait on it, for heartbeats are many.
        scratch: a folder on the store's file system.
        on_end: called when a job has ended.
    """

    log: EventLog
    store: ArtifactStore
    worker: AggregationWorker
    changes: Changes
    progress: Changes
    scratch: Path
    on_end: Callable[[], None]


class Job:
    """The driver of one job. Time limits start anew with the process: its own absence is no site's fault."""

    def __init__(self, state: JobState, surroundings: Surroundings) -> None:
        self.state = state
        self.progress: dict[str, Progress] = {}
        self._all = surroundings
        self._loop = asyncio.get_running_loop()
        self._gather_until = self._loop.time() + state.spec.rounds.gather_s
        self._round_since = self._loop.time()
        self._moved: dict[str, float] = {}  # site -> its last progress on the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._aggregation: asyncio.Task[None] | None = None

    def record(self, event: ev.Event) -> None:
        """Makes an event part of the job, durably, with everything that follows from it; void events are dropped."""
        if self._note(event):
            self.advance()

    def advance(self) -> None:
        """Takes every decision that is due; with a full disk it tries again later."""
        try:
            while isinstance(decision := self._decide(), ev.Event):
                self._note(decision)
        except StateError as error:
            return self._pause(error)
        if isinstance(decision, Aggregate) and self._aggregation is None:
            self._aggregation = asyncio.create_task(self._aggregate(decision.round))
        self._set_timer(self._next_deadline())

    def join(self, site: str, declaration: Mapping[str, str], declined: str) -> Verdict:
        """A site's answer to the job; a repeat gets the first answer."""
        self.record(judge_join(self.state, site, declaration, declined, time.time()))
        member = self.state.members[site]
        ended = f"job {self.state.job} is over" if member.state == "invited" else ""
        return Verdict(member.state == "joined", member.reason or ended)

    def work(self, site: str) -> Prepare | Train | Install | None:
        """What the site can do now; a lease is recorded before the site hears of it."""
        work = work_for(self.state, site)
        if isinstance(work, Train) and work.grant:
            self.record(ev.LeaseGranted(at=time.time(), round=work.round, site=site, epoch=work.epoch))
        return work

    def heartbeat(self, site: str, number: int, epoch: int, progress: Progress) -> Verdict:
        """Takes a site's progress in; one that was thought lost is back."""
        if not can_deliver(self.state, site, number, epoch):
            return Verdict(False, lease_fault(self.state, site, number, epoch))
        before = self.progress.get(site, Progress())
        self.progress[site] = progress
        if (before.stage, before.step, before.bytes_done) != (progress.stage, progress.step, progress.bytes_done):
            self._moved[site] = self._loop.time()
            self.record(ev.LeaseGranted(at=time.time(), round=number, site=site, epoch=epoch))
            self._all.progress.notify()
        return Verdict(True)

    def fail_round(self, site: str, number: int, epoch: int, reason: str) -> None:
        """A site cannot do this round."""
        self.record(ev.LeaseLost(at=time.time(), round=number, site=site, epoch=epoch, reason=reason, may_return=False))

    def installed(self, site: str) -> None:
        """The site runs the final model."""
        self.record(ev.ModelInstalled(at=time.time(), site=site))

    async def deliver(self, site: str, number: int, epoch: int, digest: str, weight: float) -> Verdict:
        """A committed artifact as a site's update of a round; a repeat gets the first answer.

        Raises:
            InvalidInput: the site has not committed such an artifact.
        """
        if (known := answer_to_update(self.state, site, number, epoch, digest)) is not None:
            return known
        if not self._all.store.owned_by(site, digest):
            raise InvalidInput(f"{site} has not committed artifact {digest[:12]}; upload and commit it first")
        self._moved[site] = self._loop.time()
        fault = await self._fault(number, digest, weight)
        if (known := answer_to_update(self.state, site, number, epoch, digest)) is not None:
            return known
        now = time.time()
        if fault:
            self.record(ev.UpdateRejected(at=now, round=number, site=site, epoch=epoch, digest=digest, reason=fault))
            return Verdict(False, fault)
        size = self._all.store.path(digest).stat().st_size
        self.record(
            ev.UpdateCommitted(at=now, round=number, site=site, epoch=epoch, digest=digest, weight=weight, size=size)
        )
        return Verdict(True)

    def close(self) -> None:
        """Stops timers and tasks; the log alone holds the job from here on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._aggregation is not None:
            self._aggregation.cancel()

    async def _fault(self, number: int, digest: str, weight: float) -> str:
        spec, store, before = self.state.spec, self._all.store, self._global_before(number)
        base = store.path(before) if before else None
        if not 0 < weight < float("inf"):
            return f"its weight is {weight:g}; a positive number is needed"
        if (media_type := store.manifest(digest).media_type) != spec.the_method.media_type:
            return f"it is of the type {media_type}; the method {spec.method} takes {spec.the_method.media_type}"
        try:
            await self._all.worker.check(spec, self.state.declaration or {}, base, store.path(digest))
        except (RejectedUpdate, AggregationFailed) as error:
            return str(error)
        return ""

    def _global_before(self, number: int) -> str:
        return self.state.rounds[number - 2].global_digest if number > 1 else ""

    async def _aggregate(self, number: int) -> None:
        try:
            event = await self._aggregated(number)
            self._aggregation = None
            self.record(event)
        except StateError as error:
            self._aggregation = None
            self._pause(error)

    async def _aggregated(self, number: int) -> ev.Event:
        spec, store, this = self.state.spec, self._all.store, self.state.rounds[number - 1]
        before = self._global_before(number)
        updates = [
            Received(site, this.leases[site].weight, 1.0, store.path(this.leases[site].digest))
            for site in this.committed
        ]
        give_back_heap()  # the uploads are in: leave the memory to the worker
        out = self._all.scratch / f"{self.state.job}.global"
        try:
            await self._all.worker.aggregate(spec, number, store.path(before) if before else None, updates, out)
        except AggregationFailed as error:
            reason = f"the aggregation of round {number} failed: {error}"
            return ev.JobEnded(at=time.time(), outcome="failed", reason=reason)
        manifest = await store.adopt(out, spec.the_method.media_type)
        return ev.ModelPublished(at=time.time(), round=number, digest=manifest.digest, size=manifest.size)

    def _note(self, event: ev.Event) -> bool:
        after = step(self.state, event)
        if after is self.state:
            return False
        self._all.log.append(self.state.job, event)
        self.state = after
        _LOG.info("%s: %s", self.state.job, event)
        if isinstance(event, ev.RoundOpened):
            self._round_since = self._loop.time()
            self.progress.clear()
        elif isinstance(event, ev.LeaseGranted):
            self._moved[event.site] = self._loop.time()
        elif isinstance(event, ev.JobEnded):
            self._all.on_end()
        self._all.changes.notify()
        self._all.progress.notify()
        return True

    def _decide(self) -> ev.Event | Aggregate | None:
        now = self._loop.time()
        silent = [site for site, deadline in self._deadlines().items() if deadline <= now]
        return decide(self.state, time.time(), gather_over=now >= self._gather_until, silent=silent)

    def _deadlines(self) -> dict[str, float]:
        this, limit = self.state.round, self.state.spec.rounds.progress_s
        if self.state.outcome is not None or this is None or not this.accepting:
            return {}
        return {
            site: max(self._moved.get(site, 0.0), self._round_since) + limit
            for site, lease in this.leases.items()
            if lease.pending
        }

    def _next_deadline(self) -> float | None:
        if self.state.outcome is None and self.state.round is None:
            return self._gather_until
        return min(self._deadlines().values(), default=None)

    def _pause(self, error: StateError) -> None:
        _LOG.error("job %s waits: %s", self.state.job, error)
        self._set_timer(self._loop.time() + _RETRY_S)

    def _set_timer(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._loop.call_at(when, self.advance)
