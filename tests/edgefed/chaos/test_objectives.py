"""Objectives as functions of what was observed."""

from dataclasses import replace

from edgefed.chaos.objectives import comes_back, jobs_finish, judge, nobody_is_left_out, nothing_counts_twice
from edgefed.chaos.observations import Incident, JobRecord, LeftOut, Observations, Sample

GOOD = JobRecord("cells", "finished", "", (), ())
SEEN = Observations(
    incidents=(Incident("cut", 10, 12), Incident("drop", 70, 71)),
    samples=(Sample(0, 2), Sample(10.1, 0), Sample(16.5, 2)),
    ended=100,
    jobs=(GOOD,),
    complete=True,
)


def test_everything_passes_when_nothing_was_lost() -> None:
    assert [verdict.passed for verdict in judge(SEEN, back_within_s=5)] == [True] * 4


def test_worst_recovery_is_named_when_all_were_in_time() -> None:
    assert comes_back(SEEN, 5).figure == "at most 4.5 s, from cut at 0:10"


def test_late_recovery_fails_with_its_figure() -> None:
    verdict = comes_back(SEEN, 4)
    assert (verdict.passed, verdict.figure) == (False, "1 of 2 late; after 4.5 s from cut at 0:10")


def test_connections_that_never_come_back_fail() -> None:
    verdict = comes_back(replace(SEEN, samples=SEEN.samples[:2]), 5)
    assert verdict.passed is False and "never from cut" in verdict.figure


def test_recovery_under_way_is_no_failure_when_the_run_was_ended_early() -> None:
    early = replace(SEEN, samples=SEEN.samples[:2], incidents=SEEN.incidents[:1], complete=False)
    assert comes_back(early, 5).passed is None


def test_failed_and_unfinished_jobs_are_named() -> None:
    jobs = (GOOD, JobRecord("a", "failed", "2 of 3 sites joined", (), ()), JobRecord("b", "", "", (), ()))
    verdict = jobs_finish(replace(SEEN, jobs=jobs))
    assert (verdict.passed, verdict.figure) == (False, "1 of 3; a failed: 2 of 3 sites joined; b still runs")


def test_running_job_is_no_failure_when_the_run_was_ended_early() -> None:
    assert jobs_finish(replace(SEEN, jobs=(JobRecord("b", "", "", (), ()),), complete=False)).passed is None


def test_sites_left_out_and_updates_counted_twice_are_named() -> None:
    bad = JobRecord("cells", "finished", "", (LeftOut(3, "plant-b", "made no progress for 5 s"),), ((2, "plant-a"),))
    seen = replace(SEEN, jobs=(bad,))
    assert nobody_is_left_out(seen).figure == "cells round 3: plant-b made no progress for 5 s"
    assert nothing_counts_twice(seen).figure == "cells round 2: plant-a"
    assert [verdict.passed for verdict in judge(seen, back_within_s=5)] == [True, True, False, False]


def test_jobs_are_not_judged_when_nobody_watched_or_none_ran() -> None:
    for jobs, why in ((None, "needs --state"), ((), "no job ran")):
        verdicts = judge(replace(SEEN, jobs=jobs), back_within_s=5)[1:]
        assert all(verdict.passed is None and why in verdict.figure for verdict in verdicts)
