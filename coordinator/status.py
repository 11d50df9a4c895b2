"""A job's state as operators see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.fold import late_can_deliver
from coordinator.rounds import JobState, Round, discount
from protos.jobs import job_to_json
from protos.v1 import jobs_pb2

_OUTCOMES = {
    "finished": jobs_pb2.JOB_PHASE_FINISHED,
    "failed": jobs_pb2.JOB_PHASE_FAILED,
    "cancelled": jobs_pb2.JOB_PHASE_CANCELLED,
}


@dataclass(frozen=True)
class Progress:
    """What a site last said of its work on a round; `eta_s` in seconds, `steps` 0 where unknown."""

    stage: str = ""
    step: int = 0
    steps: int = 0
    eta_s: float = 0.0
    bytes_done: int = 0


def status_to_proto(state: JobState, progress: Mapping[str, Progress], *, whole: bool = True) -> jobs_pb2.JobStatus:
    """The status message. Without `whole` it leaves out the job file and all but the latest closed round."""
    closed = [past for past in state.rounds if past.closed_at is not None]
    return jobs_pb2.JobStatus(
        job=state.job,
        phase=_phase(state),
        reason=state.reason if state.outcome else _waits_for(state),
        round=len(state.rounds),
        rounds=state.spec.rounds.count,
        sites=[_site(state, site, progress.get(site, Progress())) for site in sorted(state.members)],
        history=[_record(state, past) for past in (closed if whole else closed[-1:])],
        global_digest=bytes.fromhex(state.global_digest),
        spec_json=job_to_json(state.spec) if whole else "",
    )


def _phase(state: JobState) -> jobs_pb2.JobPhase.ValueType:
    if state.outcome is not None:
        return _OUTCOMES[state.outcome]
    if state.round is None:
        return jobs_pb2.JOB_PHASE_GATHERING
    return jobs_pb2.JOB_PHASE_AGGREGATING if state.round.aggregating else jobs_pb2.JOB_PHASE_TRAINING


def _waits_for(state: JobState) -> str:
    if state.round is None:
        return f"waits for {', '.join(state.sites('invited'))} to join"
    if state.round.aggregating:
        return f"aggregates {len(state.round.committed)} updates"
    pending = sorted(site for site, lease in state.round.leases.items() if lease.pending)
    if state.round.short_at is not None:
        return state.round.reason
    return f"waits for {', '.join(pending)}"


def _site(state: JobState, site: str, progress: Progress) -> jobs_pb2.SiteProgress:
    member = state.members[site]
    lease = state.round.leases.get(site) if state.round is not None else None
    shown, reason = str(member.state), member.reason
    if member.installed:
        shown = "installed"
    elif member.state == "left":
        pass
    elif lease is not None and lease.state != "waiting":
        shown, reason = lease.state, lease.reason
    elif (older := _still_at(state, site)) is not None:
        shown, reason = "training", f"still for round {older}"
    working = shown == "training"
    return jobs_pb2.SiteProgress(
        site=site,
        state=shown,
        stage=progress.stage if working else "",
        step=progress.step if working else 0,
        steps=progress.steps if working else 0,
        eta_s=progress.eta_s if working else 0.0,
        reason=reason,
    )


def _still_at(state: JobState, site: str) -> int | None:
    """The round before the latest that a site is still at work on, and may deliver late."""
    for past in reversed(state.rounds[:-1]):
        if (lease := past.leases.get(site)) is not None:
            current = lease.state == "training" and late_can_deliver(state, site, past.number, lease.epoch)
            return past.number if current else None
    return None


def _remarks(state: JobState, past: Round) -> dict[str, str]:
    late = {
        site: f"its update of round {update.made_for} came late and counts {discount(state, update, past.number):.2g}"
        for site, update in past.late.items()
    }
    both = {site: f"{late[site]}; {past.remarks[site]}" for site in late.keys() & past.remarks.keys()}
    return {**past.remarks, **late, **both}


def _record(state: JobState, past: Round) -> jobs_pb2.RoundRecord:
    committed = past.committed
    return jobs_pb2.RoundRecord(
        round=past.number,
        reason=past.reason,
        committed=committed,
        missing=past.missing,
        global_digest=bytes.fromhex(past.global_digest),
        bytes_up=sum(past.leases[site].size for site in committed) + sum(late.size for late in past.late.values()),
        bytes_down=past.global_size * len(state.sites("joined")),
        seconds=(past.closed_at or past.opened_at) - past.opened_at,
        remarks=_remarks(state, past),
        metrics=past.metrics,
    )
