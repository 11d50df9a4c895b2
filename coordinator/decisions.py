"""What a job does next, decided from values alone.

Decisions look at the state and never at what has just happened. So a coordinator that was killed between an event
and its effect takes the same decision again when it starts, and goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from coordinator import events as ev
from coordinator.rounds import JobState, Lease, Round


@dataclass(frozen=True)
class Aggregate:
    """The committed updates of the current round are to be aggregated and the result published."""

    round: int


def decide(state: JobState, now: float, *, gather_over: bool, silent: Collection[str]) -> ev.Event | Aggregate | None:
    """The next event to record, an aggregation to run, or nothing but to wait.

    Args:
        state: of the job.
        now: seconds since the epoch.
        gather_over: the time to join is over.
        silent: sites of the current round without progress for too long.
    """
    if state.outcome is not None:
        return None
    current = state.round
    if current is None:
        return _gather(state, now, gather_over=gather_over)
    if current.closed_at is not None:
        return _after(state, current, now)
    if current.global_digest:
        return _close(state, current, now)
    if current.aggregating:
        return Aggregate(current.number)
    return _lose(state, current, now, silent) or _collect(state, current, now)


def deadline(state: JobState) -> float | None:
    """When a decision is due for the time alone, in seconds since the epoch; None where there is no such time."""
    current, policy = state.round, state.spec.rounds
    if state.outcome is not None or current is None or not current.accepting:
        return None
    if current.short_at is not None:
        return current.short_at + policy.progress_s if _may_try_again(state, current) else None
    return current.opened_at + policy.deadline_s if policy.deadline_s else None


def _gather(state: JobState, now: float, *, gather_over: bool) -> ev.Event | None:
    joined, invited = state.sites("joined"), state.sites("invited")
    if len(joined) + len(invited) >= state.needed and invited and not gather_over:
        return None
    if len(joined) >= state.needed:
        return ev.RoundOpened(at=now, round=1, sites=tuple(joined))
    out = {site: state.members[site].reason for site in (*state.sites("refused"), *state.sites("left"))}
    silent = dict.fromkeys(invited, f"did not join within {state.spec.rounds.gather_s:g} s") if gather_over else {}
    why = f"{_of(len(joined), len(state.members))} joined, {state.needed} needed"
    return ev.JobEnded(at=now, outcome="failed", reason=f"{why}; {_named({**out, **silent})}")


def _lose(state: JobState, current: Round, now: float, silent: Collection[str]) -> ev.Event | None:
    for site in sorted(silent):
        lease = current.leases.get(site)
        if lease is not None and lease.pending:
            what = "made no progress" if lease.state == "training" else "did not ask for the round"
            reason = f"{what} for {state.spec.rounds.progress_s:g} s"
            return ev.LeaseLost(
                at=now, round=current.number, site=site, epoch=lease.epoch, reason=reason, may_return=True
            )
    return None


def _collect(state: JobState, current: Round, now: float) -> ev.Event | None:
    policy, counted = state.spec.rounds, _counted(state, current)
    if policy.buffer and counted >= policy.buffer:
        return ev.AggregationStarted(at=now, round=current.number)
    pending = sum(lease.pending for lease in current.leases.values())
    returning = sum(lease.can_deliver for lease in current.leases.values() if not lease.pending)
    if pending and counted + pending + returning >= state.needed and not _overdue(state, current, now):
        return None
    if counted >= state.needed:
        return ev.AggregationStarted(at=now, round=current.number)
    return _wait(state, current, now) if policy.short == "wait" else _close(state, current, now)


def _wait(state: JobState, current: Round, now: float) -> ev.Event | None:
    again = tuple(_may_try_again(state, current))
    if current.short_at is not None and not (again and now >= current.short_at + state.spec.rounds.progress_s):
        return None
    reason = f"waits for its quorum: {_tally(state, current, _missing(state, current, now))}"
    return ev.RoundShort(at=now, round=current.number, reason=reason, again=again)


def _may_try_again(state: JobState, current: Round) -> list[str]:
    failed = (site for site, lease in current.leases.items() if lease.state == "rejected" or _gave_up(lease))
    return sorted(site for site in failed if state.members[site].state == "joined")


def _gave_up(lease: Lease) -> bool:
    return lease.state == "lost" and not lease.may_return


def _counted(state: JobState, current: Round) -> int:
    return len({*current.committed, *state.late})


def _overdue(state: JobState, current: Round, now: float) -> bool:
    limit = state.spec.rounds.deadline_s
    return limit > 0 and now >= current.opened_at + limit


def _close(state: JobState, current: Round, now: float) -> ev.Event:
    missing = _missing(state, current, now)
    all_in = f"all {len(current.committed)} sites delivered"
    reason = _tally(state, current, missing) if missing else all_in
    return ev.RoundClosed(at=now, round=current.number, reason=reason, missing=missing)


def _tally(state: JobState, current: Round, missing: Mapping[str, str]) -> str:
    counted = len({*current.committed, *current.late}) if current.aggregating else _counted(state, current)
    only = "only " if counted < state.needed else ""
    return f"{only}{_of(counted, len(state.members))} delivered, {state.needed} needed; {_named(missing)}"


def _missing(state: JobState, current: Round, now: float) -> dict[str, str]:
    why = "was still training"
    if _overdue(state, current, now):
        why = f"had not delivered {state.spec.rounds.deadline_s:g} s after the round's opening"
    missing = {site: member.reason or "had not joined" for site, member in state.members.items()}
    missing |= {site: lease.reason or why for site, lease in current.leases.items()}
    return {site: reason for site, reason in missing.items() if site not in current.committed}


def _after(state: JobState, current: Round, now: float) -> ev.Event:
    if not current.global_digest:
        return ev.JobEnded(at=now, outcome="failed", reason=f"round {current.number}: {current.reason}")
    if current.number == state.spec.rounds.count:
        return ev.JobEnded(at=now, outcome="finished", reason="")
    joined = state.sites("joined")
    if not joined:
        return ev.JobEnded(at=now, outcome="failed", reason=f"every site has left the job; {_named(_reasons(state))}")
    return ev.RoundOpened(at=now, round=current.number + 1, sites=tuple(joined))


def _reasons(state: JobState) -> dict[str, str]:
    return {site: member.reason or member.state for site, member in state.members.items()}


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} sites" if whole != 1 else f"{part} of 1 site"


def _named(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{site}: {reason}" for site, reason in sorted(reasons.items()))
