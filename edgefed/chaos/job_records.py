"""What became of jobs while faults were injected, from the coordinator's event log: it is the audit trail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from coordinator import events as ev
from edgefed.chaos.observations import JobRecord, LeftOut


def job_records(log: Iterable[tuple[str, ev.Event]], since: float) -> tuple[JobRecord, ...]:
    """The jobs that ran at some time from `since` on (seconds since the epoch), in order of submission.

    Args:
        log: every (job, event), oldest first.
        since: when the run began.
    """
    by_job: dict[str, list[ev.Event]] = {}
    for job, event in log:
        by_job.setdefault(job, []).append(event)
    return tuple(_record(job, events, since) for job, events in by_job.items() if not _over_before(events, since))


def _over_before(events: Sequence[ev.Event], since: float) -> bool:
    return any(isinstance(event, ev.JobEnded) and event.at < since for event in events)


def _record(job: str, events: Sequence[ev.Event], since: float) -> JobRecord:
    end = next((event for event in events if isinstance(event, ev.JobEnded)), None)
    outcome, reason = (end.outcome, end.reason) if end is not None else ("", "")
    left_out = () if _is_asynchronous(events) else tuple(_left_out(events, since))
    counted = Counter(
        (event.round, event.site) for event in events if isinstance(event, ev.UpdateCommitted | ev.LateUpdateKept)
    )
    twice = tuple(sorted(update for update, times in counted.items() if times > 1))
    return JobRecord(job, outcome, reason, left_out, twice)


def _is_asynchronous(events: Sequence[ev.Event]) -> bool:
    submitted = next(event for event in events if isinstance(event, ev.JobSubmitted))
    return bool(json.loads(submitted.spec_json).get("rounds", {}).get("buffer"))


def _left_out(events: Sequence[ev.Event], since: float) -> Iterable[LeftOut]:
    own_fault: set[tuple[int, str]] = set()
    out: set[str] = set()
    for event in events:
        match event:
            case ev.SiteRefused() | ev.SiteLeft():
                out.add(event.site)
            case ev.SiteJoined():
                out.discard(event.site)
            case ev.UpdateRejected() | ev.LeaseLost(may_return=False):
                own_fault.add((event.round, event.site))
            case ev.RoundClosed() if event.at >= since:
                for site, reason in event.missing.items():
                    if site not in out and (event.round, site) not in own_fault:
                        yield LeftOut(event.round, site, reason)
