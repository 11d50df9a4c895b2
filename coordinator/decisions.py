"""What is to be done next, decided from values alone.

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


@dataclass(frozen=True)
class Prepare:
    """A site is to say whether it can do the job."""


@dataclass(frozen=True)
class Train:
    """A site is to do a round. With `grant` the lease must be recorded before the site hears of it."""

    round: int
    epoch: int
    grant: bool


@dataclass(frozen=True)
class Install:
    """A site is to install the final model."""


@dataclass(frozen=True)
class Verdict:
    """The answer to a site; `reason` is a sentence where it is no."""

    accepted: bool
    reason: str = ""


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
    return _collect(state, current, now, silent)


def work_for(state: JobState, site: str) -> Prepare | Train | Install | None:
    """What a site can do for a job right now."""
    member, current = state.members.get(site), state.round
    if member is None or member.state == "refused":
        return None
    if state.outcome is not None:
        due = state.outcome == "finished" and member.state == "joined" and not member.installed
        return Install() if due else None
    if member.state == "invited":
        return Prepare()
    lease = current.leases.get(site) if current is not None and current.accepting else None
    if current is None or lease is None:
        return None
    if lease.state == "training":
        return Train(current.number, lease.epoch, grant=False)
    if lease.state == "waiting" or lease.can_deliver:
        return Train(current.number, lease.epoch + 1, grant=True)
    return None


def judge_join(state: JobState, site: str, declaration: Mapping[str, str], declined: str, now: float) -> ev.Event:
    """Whether an invited site takes part."""
    if declined:
        return ev.SiteRefused(at=now, site=site, reason=declined)
    if state.declaration is not None and declaration != state.declaration:
        return ev.SiteRefused(at=now, site=site, reason=_difference(state, site, declaration))
    return ev.SiteJoined(at=now, site=site, declaration=declaration)


def answer_to_update(state: JobState, site: str, number: int, epoch: int, digest: str) -> Verdict | None:
    """The answer to a delivered update that is known without a look into it; None where it must be checked."""
    if not 1 <= number <= len(state.rounds):
        return Verdict(False, f"job {state.job} has had no round {number}")
    this = state.rounds[number - 1]
    lease = this.leases.get(site, Lease())
    if lease.digest == digest and lease.state == "committed":
        return Verdict(True)
    if lease.state in ("committed", "rejected"):
        return Verdict(False, lease.reason or f"{site} has already delivered another update for round {number}")
    return None if can_deliver(state, site, number, epoch) else Verdict(False, lease_fault(state, site, number, epoch))


def can_deliver(state: JobState, site: str, number: int, epoch: int) -> bool:
    """Whether an update under this lease would count, also after silence as long as the round is open."""
    this = state.round
    if state.outcome is not None or this is None or this.number != number or not this.accepting:
        return False
    lease = this.leases.get(site)
    return lease is not None and lease.can_deliver and lease.epoch == epoch > 0


def lease_fault(state: JobState, site: str, number: int, epoch: int) -> str:
    """Why a lease is gone, or an empty text where it is good."""
    if state.outcome is not None:
        return f"job {state.job} has {_ENDED[state.outcome]}" + (f": {state.reason}" if state.reason else "")
    if not 1 <= number <= len(state.rounds) or site not in state.rounds[number - 1].leases:
        return f"{site} has no part in round {number} of job {state.job}"
    this = state.rounds[number - 1]
    lease = this.leases[site]
    if not this.accepting:
        return f"round {number} of job {state.job} went on without {site}: {lease.reason or this.reason}"
    if lease.epoch != epoch or epoch == 0:
        return f"the lease of round {number} was given anew to {site}; this one (epoch {epoch}) no longer counts"
    return "" if lease.state == "training" else lease.reason or f"{site} has already delivered round {number}"


_ENDED = {"finished": "finished", "failed": "failed", "cancelled": "been cancelled"}


def _gather(state: JobState, now: float, *, gather_over: bool) -> ev.Event | None:
    joined, invited = state.sites("joined"), state.sites("invited")
    if len(joined) + len(invited) >= state.needed and invited and not gather_over:
        return None
    if len(joined) >= state.needed:
        return ev.RoundOpened(at=now, round=1, sites=tuple(joined))
    refused = {site: state.members[site].reason for site in state.sites("refused")}
    silent = dict.fromkeys(invited, f"did not join within {state.spec.rounds.gather_s:g} s") if gather_over else {}
    why = f"{_of(len(joined), len(state.members))} joined, {state.needed} needed"
    return ev.JobEnded(at=now, outcome="failed", reason=f"{why}; {_named({**refused, **silent})}")


def _collect(state: JobState, current: Round, now: float, silent: Collection[str]) -> ev.Event | None:
    for site in sorted(silent):
        lease = current.leases.get(site)
        if lease is not None and lease.pending:
            what = "made no progress" if lease.state == "training" else "did not ask for the round"
            reason = f"{what} for {state.spec.rounds.progress_s:g} s"
            return ev.LeaseLost(
                at=now, round=current.number, site=site, epoch=lease.epoch, reason=reason, may_return=True
            )
    committed, pending = len(current.committed), sum(lease.pending for lease in current.leases.values())
    returning = sum(lease.can_deliver for lease in current.leases.values() if not lease.pending)
    if pending and committed + pending + returning >= state.needed:
        return None
    if committed >= state.needed:
        return ev.AggregationStarted(at=now, round=current.number)
    return _close(state, current, now)


def _close(state: JobState, current: Round, now: float) -> ev.Event:
    missing = {site: member.reason or "had not joined" for site, member in state.members.items()}
    missing |= {site: lease.reason or "was still training" for site, lease in current.leases.items()}
    for site in current.committed:
        del missing[site]
    count = _of(len(current.committed), len(state.members))
    if not missing:
        reason = f"all {len(current.committed)} sites delivered"
    elif current.global_digest:
        reason = f"{count} delivered, {state.needed} needed; {_named(missing)}"
    else:
        reason = f"only {count} delivered, {state.needed} needed; {_named(missing)}"
    return ev.RoundClosed(at=now, round=current.number, reason=reason, missing=missing)


def _after(state: JobState, current: Round, now: float) -> ev.Event:
    if not current.global_digest:
        return ev.JobEnded(at=now, outcome="failed", reason=f"round {current.number}: {current.reason}")
    if current.number == state.spec.rounds.count:
        return ev.JobEnded(at=now, outcome="finished", reason="")
    return ev.RoundOpened(at=now, round=current.number + 1, sites=tuple(state.sites("joined")))


def _difference(state: JobState, site: str, declaration: Mapping[str, str]) -> str:
    job = state.declaration or {}
    keys = sorted(key for key in {*job, *declaration} if job.get(key) != declaration.get(key))
    first = state.sites("joined")
    differences = ", ".join(
        f"{key} is {declaration.get(key, 'missing')} at {site} and {job.get(key, 'missing')} in the job" for key in keys
    )
    return f"declares something else than {', '.join(first)}: {differences}; give all sites the same"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} sites" if whole != 1 else f"{part} of 1 site"


def _named(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{site}: {reason}" for site, reason in sorted(reasons.items()))
