"""One job as it runs: records events, performs what is decided, keeps its timers.

All of it happens on the event loop, and writing an event down is synchronous: nothing can come between the log, the
state and the next decision. An event costs one fsync.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from coordinator import events as ev
from coordinator.answers import (
    Install,
    Prepare,
    Train,
    Verdict,
    answer_to_update,
    can_deliver,
    judge_join,
    late_answer,
    lease_fault,
    work_for,
)
from coordinator.decisions import Aggregate, deadline, decide
from coordinator.effects import Surroundings, aggregated, fault_of
from coordinator.fold import late_can_deliver, step
from coordinator.rounds import JobState
from coordinator.status import Progress
from protos.errors import InvalidInput, StateError

_LOG = logging.getLogger("coordinator")
_RETRY_S = 5.0
_SOON_S = 0.05  # a wall clock that is set back must not make a timer spin


class Job:
    """A running or ended job.

    Args:
        state: folded from the log.
        surroundings: see there.
    """

    def __init__(self, state: JobState, surroundings: Surroundings) -> None:
        self.state = state
        self.progress: dict[str, Progress] = {}
        self._all = surroundings
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()  # the start of the gathering, then of the round
        self._moved: dict[str, float] = {}  # site -> its last progress in this job, on the loop's clock
        self._checked: dict[str, int] = {}  # site -> its updates being looked into: it waits for us, not we for it
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
        late = late_can_deliver(self.state, site, number, epoch)
        if not (late or can_deliver(self.state, site, number, epoch)):
            return Verdict(False, lease_fault(self.state, site, number, epoch))
        before = self.progress.get(site, Progress())
        self.progress[site] = progress
        if (before.stage, before.step, before.bytes_done) != (progress.stage, progress.step, progress.bytes_done):
            self._heard(site)
            if not late:
                self.record(ev.LeaseGranted(at=time.time(), round=number, site=site, epoch=epoch))
            self._all.progress.notify()
        return Verdict(True)

    def fail_round(self, site: str, number: int, epoch: int, reason: str) -> None:
        """A site cannot do this round."""
        self.record(ev.LeaseLost(at=time.time(), round=number, site=site, epoch=epoch, reason=reason, may_return=False))

    async def deliver(self, site: str, number: int, epoch: int, digest: str, weight: float) -> Verdict:
        """A committed artifact as a site's update of a round; a repeat gets the first answer.

        Raises:
            InvalidInput: the site has not committed such an artifact.
        """
        if (known := answer_to_update(self.state, site, number, epoch, digest)) is not None:
            return known
        if not self._all.store.owned_by(site, digest):
            raise InvalidInput(f"{site} has not committed artifact {digest[:12]}; upload and commit it first")
        fault = await self._fault_of(site, number, digest, weight)
        if (known := answer_to_update(self.state, site, number, epoch, digest)) is not None:
            return known
        late = late_can_deliver(self.state, site, number, epoch)
        if fault:
            rejected = ev.LateUpdateRejected if late else ev.UpdateRejected
            self.record(rejected(at=time.time(), round=number, site=site, epoch=epoch, digest=digest, reason=fault))
            return Verdict(False, fault)
        taken, size = ev.LateUpdateKept if late else ev.UpdateCommitted, self._all.store.path(digest).stat().st_size
        self.record(
            taken(at=time.time(), round=number, site=site, epoch=epoch, digest=digest, weight=weight, size=size)
        )
        return Verdict(True, late_answer(self.state, site, number) if late else "")

    def close(self) -> None:
        """Stops timers and tasks; the log alone holds the job from here on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._aggregation is not None:
            self._aggregation.cancel()

    async def _fault_of(self, site: str, number: int, digest: str, weight: float) -> str:
        self._checked[site] = self._checked.get(site, 0) + 1
        try:
            return await fault_of(self.state, self._all, number, digest, weight)
        finally:
            self._checked[site] -= 1
            self._heard(site)
            self._set_timer(self._next_deadline())

    async def _aggregate(self, number: int) -> None:
        try:
            event = await aggregated(self.state, self._all, number)
            self._aggregation = None
            self.record(event)
        except StateError as error:
            self._aggregation = None
            self._pause(error)

    def _note(self, event: ev.Event) -> bool:
        after = step(self.state, event)
        if after is self.state:
            return False
        self._all.log.append(self.state.job, event)
        self.state = after
        _LOG.info("%s: %s", self.state.job, event)
        if isinstance(event, ev.RoundOpened):
            self._since = self._loop.time()
            self.progress.clear()
        elif isinstance(event, ev.LeaseGranted):
            self._heard(event.site)
        elif isinstance(event, ev.RoundShort):
            self._since = self._loop.time()  # those that may try again have as long as at first
        elif isinstance(event, ev.JobEnded):
            self._all.on_end()
        self._all.changes.notify()
        self._all.progress.notify()
        return True

    def _heard(self, site: str) -> None:
        self._moved[site] = self._all.moved[site] = self._loop.time()

    def _decide(self) -> ev.Event | Aggregate | None:
        now = self._loop.time()
        silent = [site for site, due in self._silent_at().items() if due <= now]
        return decide(self.state, time.time(), gather_over=now >= self._gather_until(), silent=silent)

    def _gather_until(self) -> float:
        # A site that works on another job can answer this one when it is through with a round.
        busy = max((self._all.moved.get(site, 0.0) for site in self.state.sites("invited")), default=0.0)
        return max(self._since, busy) + self.state.spec.rounds.gather_s

    def _silent_at(self) -> dict[str, float]:
        this, limit = self.state.round, self.state.spec.rounds.progress_s
        if self.state.outcome is not None or this is None or not this.accepting:
            return {}
        return {
            # Before its lease a site may be at work on another job, or on an older round; then it must not go on here.
            site: max((self._all.moved if lease.state == "waiting" else self._moved).get(site, 0.0), self._since)
            + limit
            for site, lease in this.leases.items()
            if lease.pending and not self._checked.get(site)
        }

    def _next_deadline(self) -> float | None:
        if self.state.outcome is None and self.state.round is None:
            return self._gather_until()
        due = list(self._silent_at().values())
        if (moment := deadline(self.state)) is not None:
            due.append(self._loop.time() + max(_SOON_S, moment - time.time()))
        return min(due, default=None)

    def _pause(self, error: StateError) -> None:
        _LOG.error("job %s waits: %s", self.state.job, error)
        self._set_timer(self._loop.time() + _RETRY_S)

    def _set_timer(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._loop.call_at(when, self.advance)
