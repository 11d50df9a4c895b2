"""What a site is told, decided from a job's state alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coordinator import events as ev
from coordinator.fold import late_can_deliver
from coordinator.rounds import JobState, Lease, discount


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
    """The answer to a site; `reason` is a sentence where it is no, or where there is more to say."""

    accepted: bool
    reason: str = ""


def work_for(state: JobState, site: str) -> Prepare | Train | Install | None:
    """What a site can do for a job right now."""
    member, current = state.members.get(site), state.round
    if member is None or member.state in ("refused", "left"):
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
    lease = state.lease(site, number) or Lease()
    if lease.digest == digest and lease.state == "committed":
        return Verdict(True)
    if lease.digest == digest and lease.state == "late":
        return Verdict(True, late_answer(state, site, number))
    if lease.state in ("committed", "rejected", "late"):
        return Verdict(False, lease.reason or f"{site} has already delivered another update for round {number}")
    if can_deliver(state, site, number, epoch) or late_can_deliver(state, site, number, epoch):
        return None
    return Verdict(False, lease_fault(state, site, number, epoch))


def can_deliver(state: JobState, site: str, number: int, epoch: int) -> bool:
    """Whether an update under this lease would count in its own round, also after silence while the round is open."""
    this = state.round
    if state.outcome is not None or this is None or this.number != number or not this.accepting:
        return False
    lease = this.leases.get(site)
    return lease is not None and lease.can_deliver and lease.epoch == epoch > 0


def late_answer(state: JobState, site: str, number: int) -> str:
    """What became of a late update of round `number`, for its site."""
    for this in state.rounds[number:]:
        if (late := this.late.get(site)) is not None and late.made_for == number:
            return f"round {number} was over; it counts {discount(state, late, this.number):.2g} in round {this.number}"
    waits = (late := state.late.get(site)) is not None and late.made_for == number
    what = "it is kept for the next round" if waits else f"a newer update of {site} took its place"
    return f"round {number} was over; {what}"


def lease_fault(state: JobState, site: str, number: int, epoch: int) -> str:
    """Why a lease is gone, or an empty text where it is good."""
    if state.outcome is not None:
        return f"job {state.job} has {_ENDED[state.outcome]}" + (f": {state.reason}" if state.reason else "")
    member, lease = state.members.get(site), state.lease(site, number)
    if member is not None and member.state == "left":
        return f"{site} has left job {state.job}: {member.reason}"
    if lease is None:
        return f"{site} has no part in round {number} of job {state.job}"
    this = state.rounds[number - 1]
    if not this.accepting:
        why = lease.reason or this.missing.get(site) or this.reason
        return f"round {number} of job {state.job} went on without {site}: {why}"
    if lease.epoch != epoch or epoch == 0:
        return f"the lease of round {number} was given anew to {site}; this one (epoch {epoch}) no longer counts"
    return "" if lease.state == "training" else lease.reason or f"{site} has already delivered round {number}"


_ENDED = {"finished": "finished", "failed": "failed", "cancelled": "been cancelled"}


def _difference(state: JobState, site: str, declaration: Mapping[str, str]) -> str:
    job = state.declaration or {}
    keys = sorted(key for key in {*job, *declaration} if job.get(key) != declaration.get(key))
    first = state.sites("joined")
    differences = ", ".join(
        f"{key} is {declaration.get(key, 'missing')} at {site} and {job.get(key, 'missing')} in the job" for key in keys
    )
    return f"declares something else than {', '.join(first)}: {differences}; give all sites the same"
