"""Rounds as event lists: no clock, no disk, no network."""

from __future__ import annotations

import pytest

from coordinator import events as ev
from coordinator.answers import Install, Prepare, Train, answer_to_update, judge_join, lease_fault, work_for
from coordinator.decisions import Aggregate
from tests.coordinator.play import SITES, Play, in_round, replay, update


def test_round_opens_when_all_have_joined() -> None:
    play = Play().join("a", "b")
    assert play.state.round is None
    assert play.join("c").state.round.number == 1


def test_round_opens_with_the_quorum_when_the_time_to_join_is_over() -> None:
    play = Play(quorum=2).join("a", "b").record(gather_over=True)
    assert sorted(play.state.round.leases) == ["a", "b"]


def test_job_fails_naming_who_did_not_join_when_too_few_did() -> None:
    play = Play().join("a").record(ev.SiteRefused(at=0.0, site="b", reason="no images"), gather_over=True)
    assert play.state.outcome == "failed"
    assert play.state.reason == ("1 of 3 sites joined, 3 needed; b: no images; c: did not join within 60 s")


def test_job_fails_at_once_when_refusals_leave_too_few() -> None:
    play = Play().record(ev.SiteRefused(at=0.0, site="b", reason="no images"))
    assert play.state.outcome == "failed"


def test_job_finishes_after_its_last_round() -> None:
    play = in_round().commit(*SITES).publish().lease(*SITES, number=2).commit(*SITES, number=2).publish(2)
    assert play.state.outcome == "finished"
    assert [past.reason for past in play.state.rounds] == ["all 3 sites delivered"] * 2


def test_aggregation_waits_for_all_when_the_quorum_is_there_already() -> None:
    play = in_round(quorum=2).commit("a", "b")
    assert not play.state.round.aggregating
    assert play.record(silent=["c"]).waits_for == Aggregate(1)


def test_round_closes_naming_the_missing_when_a_site_was_silent() -> None:
    play = in_round(quorum=2).commit("a", "b").record(silent=["c"]).publish()
    closed = play.state.rounds[0]
    assert closed.missing == {"c": "made no progress for 300 s"}
    assert closed.reason == "2 of 3 sites delivered, 2 needed; c: made no progress for 300 s"
    assert play.state.round.number == 2


def test_rejected_update_is_named_and_the_round_goes_on_with_the_quorum() -> None:
    rejected = ev.UpdateRejected(at=0.0, round=1, site="b", epoch=1, digest="b" * 64, reason="holds NaN")
    play = in_round(quorum=2).record(rejected).commit("a", "c").publish()
    assert play.state.rounds[0].missing == {"b": "holds NaN"}
    assert sorted(play.state.round.leases) == ["a", "b", "c"]


def test_job_fails_with_the_reason_when_a_round_misses_its_quorum() -> None:
    lost = ev.LeaseLost(at=0.0, round=1, site="b", epoch=1, reason="the disk is full", may_return=False)
    play = in_round().record(lost)
    assert play.state.outcome == "failed"
    assert "b: the disk is full" in play.state.reason
    assert play.state.rounds[0].closed_at is not None


def test_silent_site_does_not_end_the_round_while_others_work() -> None:
    play = in_round().record(silent=["b"])
    assert play.state.round.leases["b"].state == "lost"
    assert play.state.outcome is None


def test_late_update_counts_when_the_round_is_still_open() -> None:
    play = in_round().record(silent=["b"]).commit("a", "b", "c")
    assert play.state.round.committed == ["a", "b", "c"]


def test_update_of_an_old_epoch_does_not_count() -> None:
    play = in_round().record(silent=["b"]).lease("b", epoch=2).commit("b", epoch=1)
    assert play.state.round.leases["b"].state == "training"
    verdict = answer_to_update(play.state, "b", 1, 1, "9" * 64)
    assert verdict is not None and not verdict.accepted and "epoch 1" in verdict.reason


def test_second_update_of_a_site_does_not_count() -> None:
    play = in_round().commit("a").record(update("a", digest="e" * 64))
    assert play.state.round.leases["a"].digest == "a".rjust(64, "0").replace("0a", "1a")


def test_update_after_the_aggregation_started_does_not_count() -> None:
    play = in_round(quorum=2).commit("a", "b").record(silent=["c"]).commit("c")
    assert play.state.round.committed == ["a", "b"]
    verdict = answer_to_update(play.state, "c", 1, 1, "9" * 64)
    assert verdict is not None and "went on without c: made no progress for 300 s" in verdict.reason


def test_repeat_of_a_counted_update_is_accepted_when_the_round_is_long_closed() -> None:
    play = in_round().commit(*SITES).publish()
    verdict = answer_to_update(play.state, "a", 1, 1, play.state.rounds[0].leases["a"].digest)
    assert verdict is not None and verdict.accepted


def test_heard_again_under_the_same_epoch_the_lease_is_back() -> None:
    play = in_round().record(silent=["b"]).lease("b", epoch=1)
    assert play.state.round.leases["b"].state == "training"
    assert lease_fault(play.state, "b", 1, 1) == ""


def test_failed_round_is_not_given_to_the_site_again() -> None:
    lost = ev.LeaseLost(at=0.0, round=1, site="b", epoch=1, reason="broken", may_return=False)
    play = in_round(quorum=1).record(lost)
    assert work_for(play.state, "b") is None


def test_late_joiner_takes_part_from_the_next_round() -> None:
    play = Play(quorum=2).join("a", "b").record(gather_over=True).lease("a", "b").join("c")
    assert work_for(play.state, "c") is None
    play.commit("a", "b").publish()
    assert work_for(play.state, "c") == Train(2, 1, grant=True)
    assert play.state.rounds[0].missing == {"c": "had not joined"}


def test_differing_declaration_is_refused_by_name_with_both_values() -> None:
    play = Play().join("a")
    event = judge_join(play.state, "b", {"width": "152"}, "", 0.0)
    assert isinstance(event, ev.SiteRefused)
    assert event.reason == (
        "declares something else than a: width is 152 at b and 8 in the job; give all sites the same"
    )


def test_work_follows_the_job() -> None:
    play = Play(count=1)
    assert work_for(play.state, "a") == Prepare()
    assert work_for(play.join("a").state, "a") is None
    assert work_for(play.join("b", "c").state, "a") == Train(1, 1, grant=True)
    assert work_for(play.lease("a").state, "a") == Train(1, 1, grant=False)
    assert work_for(play.lease("b", "c").commit(*SITES).state, "a") is None
    assert work_for(play.publish().state, "a") == Install()
    assert work_for(play.record(ev.ModelInstalled(at=0.0, site="a")).state, "a") is None
    assert work_for(play.state, "stranger") is None


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_nothing_happens_after_the_end(outcome: ev.Outcome) -> None:
    play = in_round().record(ev.JobEnded(at=0.0, outcome=outcome, reason="enough"))
    before = play.state
    play.commit(*SITES).join("a").publish().record(ev.JobEnded(at=0.0, outcome="finished", reason=""))
    assert play.state is before
    assert lease_fault(before, "a", 1, 1).endswith(": enough")


def test_every_event_twice_gives_the_same_state() -> None:
    play = in_round(quorum=2).record(silent=["b"]).lease("b", epoch=2).commit("a").commit("b", epoch=2)
    play.record(silent=["c"]).publish()
    twice = [event for event in play.log for _ in range(2)]
    assert replay(twice) == play.state
