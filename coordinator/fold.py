"""A job's state as a pure fold over its events.

`step` is total: an event that does not apply (a duplicate, an old epoch, a closed round) leaves the state as it is,
and the very same object comes back. The driver writes an event down only where `step` changes something, so a log
holds no void events, and a replay of it gives the state that the live coordinator had.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coordinator import events as ev
from coordinator.rounds import JobState, LateUpdate, Lease, Member, Round
from protos.jobs import JobSpec

_MemberEvent = ev.SiteInvited | ev.SiteJoined | ev.SiteRefused | ev.SiteLeft | ev.ModelInstalled
_LeaseEvent = ev.LeaseGranted | ev.UpdateCommitted | ev.UpdateRejected | ev.LeaseLost
_LateEvent = ev.LateUpdateKept | ev.LateUpdateRejected
_RoundEvent = ev.RoundShort | ev.AggregationStarted | ev.ModelPublished | ev.RoundClosed


def start(event: ev.JobSubmitted) -> JobState:
    """The state after a job's first event."""
    spec = JobSpec.model_validate_json(event.spec_json)
    return JobState(spec.name, spec, event.at, {site: Member() for site in event.sites})


def step(state: JobState, event: ev.Event) -> JobState:
    """The state after one more event; `state` itself where the event does not apply."""
    if state.outcome is not None:
        return _installed(state, event.site) if isinstance(event, ev.ModelInstalled) else state
    match event:
        case ev.SiteInvited() | ev.SiteJoined() | ev.SiteRefused() | ev.SiteLeft():
            return _member_step(state, event)
        case ev.LeaseGranted() | ev.UpdateCommitted() | ev.UpdateRejected() | ev.LeaseLost():
            return _lease_step(state, event)
        case ev.LateUpdateKept() | ev.LateUpdateRejected():
            return _late_step(state, event)
        case ev.RoundOpened():
            return _opened(state, event)
        case ev.RoundShort() | ev.AggregationStarted() | ev.ModelPublished() | ev.RoundClosed():
            return _round_step(state, event)
        case ev.JobEnded():
            return replace(state, outcome=event.outcome, reason=event.reason)
    return state


def late_can_deliver(state: JobState, site: str, number: int, epoch: int) -> bool:
    """Whether an update under this lease would count in a later round: the round went on and the site did not."""
    lease = state.lease(site, number)
    if lease is None or state.outcome is not None or state.spec.rounds.late == "drop":
        return False
    over = not state.rounds[number - 1].accepting
    return over and lease.can_deliver and lease.epoch == epoch > 0 and state.members[site].state == "joined"


def _installed(state: JobState, site: str) -> JobState:
    member = state.members.get(site)
    if member is None or state.outcome != "finished" or member.state != "joined" or member.installed:
        return state
    return _with_member(state, site, replace(member, installed=True))


def _member_step(state: JobState, event: ev.SiteInvited | ev.SiteJoined | ev.SiteRefused | ev.SiteLeft) -> JobState:
    member = state.members.get(event.site)
    if isinstance(event, ev.SiteInvited):
        taken_in = member is None or member.state in ("left", "refused")
        return _with_member(state, event.site, Member()) if taken_in else state
    if member is None:
        return state
    if isinstance(event, ev.SiteLeft):
        return _left(state, event) if member.state in ("invited", "joined") else state
    if member.state != "invited":
        return state
    if isinstance(event, ev.SiteRefused):
        return _with_member(state, event.site, Member("refused", event.reason))
    joined = _with_member(state, event.site, Member("joined"))
    return joined if state.declaration is not None else replace(joined, declaration=event.declaration)


def _left(state: JobState, event: ev.SiteLeft) -> JobState:
    state = _with_member(state, event.site, Member("left", event.reason))
    if event.discard:
        state = replace(state, late={site: late for site, late in state.late.items() if site != event.site})
    current = state.round
    lease = current.leases.get(event.site) if current is not None and current.accepting else None
    if current is None or lease is None or not (lease.pending or lease.state == "lost" or event.discard):
        return state
    gone = Lease("lost", lease.epoch, event.reason, may_return=False)
    return _with_lease(state, current.number, event.site, gone)


def _lease_step(state: JobState, event: _LeaseEvent) -> JobState:
    current = state.round
    if current is None or current.number != event.round or not current.accepting:
        return state
    lease = current.leases.get(event.site)
    if lease is None:
        return state
    if isinstance(event, ev.LeaseGranted):
        returns = lease.can_deliver and lease.state == "lost" and event.epoch == lease.epoch > 0
        anew = event.epoch == lease.epoch + 1 and (lease.can_deliver or lease.state == "waiting")
        granted = Lease("training", event.epoch)
        return _with_lease(state, current.number, event.site, granted) if returns or anew else state
    if event.epoch != lease.epoch:
        return state
    if isinstance(event, ev.LeaseLost):
        lost = replace(lease, state="lost", reason=event.reason, may_return=event.may_return)
        return _with_lease(state, current.number, event.site, lost) if lease.pending else state
    if not lease.can_deliver or lease.epoch == 0:
        return state
    return _with_lease(state, current.number, event.site, _delivered(event))


def _late_step(state: JobState, event: _LateEvent) -> JobState:
    if not late_can_deliver(state, event.site, event.round, event.epoch):
        return state
    if isinstance(event, ev.LateUpdateRejected):
        rejected = Lease("rejected", event.epoch, event.reason, may_return=False, digest=event.digest)
        return _with_lease(state, event.round, event.site, rejected)
    known = state.late.get(event.site)
    if known is None or known.made_for < event.round:  # a site counts once in a round, with its newest
        kept = LateUpdate(event.round, event.digest, event.weight, event.size)
        state = replace(state, late={**state.late, event.site: kept})
    late = Lease("late", event.epoch, digest=event.digest, weight=event.weight, size=event.size)
    return _with_lease(state, event.round, event.site, late)


def _delivered(event: ev.UpdateCommitted | ev.UpdateRejected) -> Lease:
    if isinstance(event, ev.UpdateRejected):
        return Lease("rejected", event.epoch, event.reason, may_return=False, digest=event.digest)
    return Lease("committed", event.epoch, digest=event.digest, weight=event.weight, size=event.size)


def _opened(state: JobState, event: ev.RoundOpened) -> JobState:
    current = state.round
    follows = event.round == len(state.rounds) + 1 and (current is None or current.closed_at is not None)
    opened = Round(event.round, event.at, {site: Lease() for site in event.sites})
    return replace(state, rounds=(*state.rounds, opened)) if follows else state


def _round_step(state: JobState, event: _RoundEvent) -> JobState:
    current = state.round
    if current is None or current.number != event.round or current.closed_at is not None:
        return state
    if isinstance(event, ev.RoundShort):
        return _short(state, current, event) if current.accepting else state
    if isinstance(event, ev.AggregationStarted):
        return _aggregating(state, current) if current.accepting else state
    changes: dict[str, Any] = {}
    if isinstance(event, ev.RoundClosed):
        changes = {"closed_at": event.at, "reason": event.reason, "missing": event.missing}
    elif current.aggregating and not current.global_digest:
        changes = {
            "global_digest": event.digest, "global_size": event.size, "remarks": event.remarks,
            "metrics": event.metrics,
        }  # fmt: skip
    return _with_round(state, replace(current, **changes)) if changes else state


def _short(state: JobState, current: Round, event: ev.RoundShort) -> JobState:
    again = {site: Lease(epoch=lease.epoch) for site, lease in current.leases.items() if site in event.again}
    leases = {**current.leases, **again}
    return _with_round(state, replace(current, leases=leases, short_at=event.at, reason=event.reason))


def _aggregating(state: JobState, current: Round) -> JobState:
    # A site that has delivered this round as well counts with that alone; its late update goes.
    taken = {site: late for site, late in state.late.items() if site not in current.committed}
    return _with_round(replace(state, late={}), replace(current, aggregating=True, late=taken))


def _with_member(state: JobState, site: str, member: Member) -> JobState:
    return replace(state, members={**state.members, site: member})


def _with_lease(state: JobState, number: int, site: str, lease: Lease) -> JobState:
    this = state.rounds[number - 1]
    changed = replace(this, leases={**this.leases, site: lease})
    return replace(state, rounds=(*state.rounds[: number - 1], changed, *state.rounds[number:]))


def _with_round(state: JobState, latest: Round) -> JobState:
    return replace(state, rounds=(*state.rounds[:-1], latest))
