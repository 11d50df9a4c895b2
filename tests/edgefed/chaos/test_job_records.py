"""What the event log says of jobs that ran under faults."""

from coordinator import events as ev
from edgefed.chaos.job_records import job_records
from edgefed.chaos.observations import LeftOut
from protos.jobs import JobSpec, RoundPolicy, job_to_json

SITES = ("plant-a", "plant-b")


def _submitted(at: float, **policy: object) -> ev.JobSubmitted:
    spec = JobSpec(name="cells", method="fedavg", rounds=RoundPolicy.model_validate(policy))
    return ev.JobSubmitted(at=at, spec_json=job_to_json(spec), sites=SITES)


def _closed(at: float, **missing: str) -> ev.RoundClosed:
    reasons = {site.replace("_", "-"): reason for site, reason in missing.items()}
    return ev.RoundClosed(at=at, round=1, reason="", missing=reasons)


def _committed(number: int, site: str) -> ev.UpdateCommitted:
    return ev.UpdateCommitted(at=20, round=number, site=site, epoch=1, digest="", weight=1, size=1)


def _lost(*, may_return: bool) -> ev.LeaseLost:
    return ev.LeaseLost(at=20, round=1, site="plant-b", epoch=1, reason="", may_return=may_return)


def test_job_that_ended_before_the_run_is_left_out() -> None:
    log = [("old", _submitted(1)), ("old", ev.JobEnded(at=5, outcome="failed", reason="")), ("new", _submitted(2))]
    assert [(record.job, record.outcome) for record in job_records(log, since=10)] == [("new", "")]


def test_silent_site_is_left_out_by_the_network() -> None:
    log = [("cells", event) for event in (_submitted(1), _lost(may_return=True), _closed(21, plant_b="no progress"))]
    assert job_records(log, since=10)[0].left_out == (LeftOut(1, "plant-b", "no progress"),)


def test_site_with_a_fault_of_its_own_is_not_left_out_by_the_network() -> None:
    own = [
        _lost(may_return=False),
        ev.UpdateRejected(at=20, round=1, site="plant-b", epoch=1, digest="", reason="NaN"),
        ev.SiteRefused(at=2, site="plant-b", reason="too few images"),
    ]
    for event in own:
        log = [("cells", event) for event in (_submitted(1), event, _closed(21, plant_b="why"))]
        assert job_records(log, since=10)[0].left_out == ()


def test_rounds_before_the_run_and_asynchronous_jobs_wait_for_nobody() -> None:
    for submitted, closed in (
        (_submitted(1), _closed(5, plant_b="why")),
        (_submitted(1, buffer=1, late="next-round"), _closed(21, plant_b="was still training")),
    ):
        assert job_records([("cells", submitted), ("cells", closed)], since=10)[0].left_out == ()


def test_update_that_was_committed_twice_is_found() -> None:
    updates = [_committed(1, "plant-a"), _committed(1, "plant-b"), _committed(2, "plant-a"), _committed(2, "plant-a")]
    log = [("cells", event) for event in (_submitted(1), *updates)]
    assert job_records(log, since=10)[0].twice == ((2, "plant-a"),)
