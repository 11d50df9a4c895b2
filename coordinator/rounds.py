"""A job's state as a pure fold over its events.

`step` is total: an event that does not apply (a duplicate, an old epoch, a closed round) leaves the state as it is,
and the very same object comes back. The driver writes an event down only where `step` changes something, so a log
holds no void events, and a replay of it gives the state that the live coordinator had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from coordinator import events as ev
from protos.jobs import JobSpec


@dataclass(frozen=True)
class Member:
    """A site in a job; `reason` says why it was refused."""

    state: Literal["invited", "joined", "refused"] = "invited"
    reason: str = ""
    installed: bool = False


@dataclass(frozen=True)
class Lease:
    """A site in a round.

    Attributes:
        state: "waiting" until the site has asked for the round.
        epoch: of the latest grant, from 1; 0 while waiting. Results of an older epoch do not count.
        reason: why it was rejected or lost.
        may_return: lost only by silence; its update still counts while the round is open.
        digest: of the update, 64 hex characters.
        weight: of the update.
        size: of the update in bytes.
    """

    state: Literal["waiting", "training", "committed", "rejected", "lost"] = "waiting"
    epoch: int = 0
    reason: str = ""
    may_return: bool = True
    digest: str = ""
    weight: float = 0.0
    size: int = 0

    @property
    def pending(self) -> bool:
        """The round waits for this site."""
        return self.state in ("waiting", "training")

    @property
    def can_deliver(self) -> bool:
        """An update of the current epoch would count."""
        return self.state == "training" or (self.state == "lost" and self.may_return)


@dataclass(frozen=True)
class Round:
    """One round; times in seconds since the epoch, sizes in bytes."""

    number: int
    opened_at: float
    leases: Mapping[str, Lease]
    aggregating: bool = False
    global_digest: str = ""
    global_size: int = 0
    closed_at: float | None = None
    reason: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepting(self) -> bool:
        """Updates still count."""
        return self.closed_at is None and not self.aggregating

    @property
    def committed(self) -> list[str]:
        """The sites whose update counts, in sorted order."""
        return sorted(site for site, lease in self.leases.items() if lease.state == "committed")


@dataclass(frozen=True)
class JobState:
    """All that is known of a job."""

    job: str
    spec: JobSpec
    submitted_at: float
    members: Mapping[str, Member]
    declaration: Mapping[str, str] | None = None
    rounds: tuple[Round, ...] = ()
    outcome: ev.Outcome | None = None
    reason: str = ""

    @property
    def round(self) -> Round | None:
        """The latest round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def needed(self) -> int:
        """How many updates a round needs."""
        return self.spec.rounds.quorum or len(self.members)

    @property
    def global_digest(self) -> str:
        """The latest published model, or an empty text."""
        return next((past.global_digest for past in reversed(self.rounds) if past.global_digest), "")

    def sites(self, state: str) -> list[str]:
        """The sites that are invited, joined or refused, in sorted order."""
        return sorted(site for site, member in self.members.items() if member.state == state)


def start(event: ev.JobSubmitted) -> JobState:
    """The state after a job's first event."""
    spec = JobSpec.model_validate_json(event.spec_json)
    return JobState(spec.name, spec, event.at, {site: Member() for site in event.sites})


def step(state: JobState, event: ev.Event) -> JobState:
    """The state after one more event; `state` itself where the event does not apply."""
    match event:
        case ev.SiteJoined() | ev.SiteRefused() | ev.ModelInstalled():
            return _member_step(state, event)
        case ev.LeaseGranted() | ev.UpdateCommitted() | ev.UpdateRejected() | ev.LeaseLost():
            return _lease_step(state, event)
        case ev.RoundOpened() | ev.AggregationStarted() | ev.ModelPublished() | ev.RoundClosed():
            return _round_step(state, event)
        case ev.JobEnded() if state.outcome is None:
            return replace(state, outcome=event.outcome, reason=event.reason)
    return state


def _member_step(state: JobState, event: ev.SiteJoined | ev.SiteRefused | ev.ModelInstalled) -> JobState:
    member = state.members.get(event.site)
    if member is None:
        return state
    if isinstance(event, ev.ModelInstalled):
        if state.outcome != "finished" or member.state != "joined" or member.installed:
            return state
        return _with_member(state, event.site, replace(member, installed=True))
    if member.state != "invited" or state.outcome is not None:
        return state
    if isinstance(event, ev.SiteRefused):
        return _with_member(state, event.site, Member("refused", event.reason))
    joined = _with_member(state, event.site, Member("joined"))
    return joined if state.declaration is not None else replace(joined, declaration=event.declaration)


def _lease_step(
    state: JobState, event: ev.LeaseGranted | ev.UpdateCommitted | ev.UpdateRejected | ev.LeaseLost
) -> JobState:
    current = state.round
    if state.outcome is not None or current is None or current.number != event.round or not current.accepting:
        return state
    lease = current.leases.get(event.site)
    if lease is None:
        return state
    if isinstance(event, ev.LeaseGranted):
        returns = lease.can_deliver and lease.state == "lost" and event.epoch == lease.epoch > 0
        anew = event.epoch == lease.epoch + 1 and (lease.can_deliver or lease.state == "waiting")
        return _with_lease(state, event.site, Lease("training", event.epoch)) if returns or anew else state
    if event.epoch != lease.epoch:
        return state
    if isinstance(event, ev.LeaseLost):
        lost = replace(lease, state="lost", reason=event.reason, may_return=event.may_return)
        return _with_lease(state, event.site, lost) if lease.pending else state
    if not lease.can_deliver or lease.epoch == 0:
        return state
    if isinstance(event, ev.UpdateRejected):
        rejected = Lease("rejected", event.epoch, event.reason, may_return=False, digest=event.digest)
        return _with_lease(state, event.site, rejected)
    committed = Lease("committed", event.epoch, digest=event.digest, weight=event.weight, size=event.size)
    return _with_lease(state, event.site, committed)


def _round_step(
    state: JobState, event: ev.RoundOpened | ev.AggregationStarted | ev.ModelPublished | ev.RoundClosed
) -> JobState:
    current = state.round
    if state.outcome is not None:
        return state
    if isinstance(event, ev.RoundOpened):
        follows = event.round == len(state.rounds) + 1 and (current is None or current.closed_at is not None)
        opened = Round(event.round, event.at, {site: Lease() for site in event.sites})
        return replace(state, rounds=(*state.rounds, opened)) if follows else state
    if current is None or current.number != event.round or current.closed_at is not None:
        return state
    changes: dict[str, Any] = {}
    if isinstance(event, ev.AggregationStarted) and not current.aggregating:
        changes = {"aggregating": True}
    elif isinstance(event, ev.ModelPublished) and current.aggregating and not current.global_digest:
        changes = {"global_digest": event.digest, "global_size": event.size}
    elif isinstance(event, ev.RoundClosed):
        changes = {"closed_at": event.at, "reason": event.reason, "missing": event.missing}
    return _with_round(state, replace(current, **changes)) if changes else state


def _with_member(state: JobState, site: str, member: Member) -> JobState:
    return replace(state, members={**state.members, site: member})


def _with_lease(state: JobState, site: str, lease: Lease) -> JobState:
    current = state.rounds[-1]
    return _with_round(state, replace(current, leases={**current.leases, site: lease}))


def _with_round(state: JobState, latest: Round) -> JobState:
    return replace(state, rounds=(*state.rounds[:-1], latest))
