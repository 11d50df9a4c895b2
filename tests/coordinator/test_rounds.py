"""Rounds as event lists: no clock, no disk, no network."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator import events as ev
from coordinator.answers import Install, Prepare, Train, answer_to_update, judge_join, lease_fault, work_for
from coordinator.decisions import Aggregate, decide
from coordinator.fold import start, step
from coordinator.rounds import JobState

SITES = ("a", "b", "c")


class Play:
    """What the driver does, without its effects: records, decides until there is nothing but to wait."""

    def __init__(self, *, count: int = 2, quorum: int = 0, sites: tuple[str, ...] = SITES) -> None:
        spec = {"name": "job", "method": "fedavg", "rounds": {"count": count, "quorum": quorum, "sites": sites}}
        first = ev.JobSubmitted(at=0.0, spec_json=json.dumps(spec), sites=sites)
        self.log: list[ev.Event] = [first]
        self.state = start(first)

    def record(self, *events: ev.Event, gather_over: bool = False, silent: Collection[str] = ()) -> Play:
        for event in events:
            self._note(event)
        while isinstance(due := decide(self.state, 1.0, gather_over=gather_over, silent=silent), ev.Event):
            self._note(due)
        self.waits_for = due
        return self

    def _note(self, event: ev.Event) -> None:
        after = step(self.state, event)
        if after is not self.state:
            self.log.append(event)
            self.state = after

    def join(self, *sites: str) -> Play:
        return self.record(*(ev.SiteJoined(at=0.0, site=site, declaration={"width": "8"}) for site in sites))

    def lease(self, *sites: str, number: int = 1, epoch: int = 1) -> Play:
        return self.record(*(ev.LeaseGranted(at=0.0, round=number, site=site, epoch=epoch) for site in sites))

    def commit(self, *sites: str, number: int = 1, epoch: int = 1) -> Play:
        return self.record(*(update(site, number, epoch) for site in sites))

    def publish(self, number: int = 1) -> Play:
        return self.record(ev.ModelPublished(at=2.0, round=number, digest="f" * 64, size=10))


def update(site: str, number: int = 1, epoch: int = 1, digest: str = "") -> ev.UpdateCommitted:
    digest = digest or f"{number}{site}".rjust(64, "0")
    return ev.UpdateCommitted(at=0.0, round=number, site=site, epoch=epoch, digest=digest, weight=1.0, size=7)


def in_round(**policy: int) -> Play:
    """All sites joined and leased in round 1."""
    return Play(**policy).join(*SITES).lease(*SITES)


def replay(log: list[ev.Event]) -> JobState:
    state = start(log[0])
    for event in log[1:]:
        state = step(state, event)
    return state


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


_events = st.one_of(
    st.builds(ev.SiteJoined, at=st.just(0.0), site=st.sampled_from(SITES), declaration=st.just({"width": "8"})),
    st.builds(ev.SiteRefused, at=st.just(0.0), site=st.sampled_from(SITES), reason=st.just("no")),
    st.builds(
        ev.LeaseGranted, at=st.just(0.0), round=st.integers(1, 3), site=st.sampled_from(SITES), epoch=st.integers(0, 3)
    ),
    st.builds(update, site=st.sampled_from(SITES), number=st.integers(1, 3), epoch=st.integers(0, 3)),
    st.builds(
        ev.LeaseLost,
        at=st.just(0.0),
        round=st.integers(1, 3),
        site=st.sampled_from(SITES),
        epoch=st.integers(0, 3),
        reason=st.just("gone"),
        may_return=st.booleans(),
    ),
    st.builds(ev.ModelPublished, at=st.just(0.0), round=st.integers(1, 3), digest=st.just("f" * 64), size=st.just(1)),
    st.builds(ev.ModelInstalled, at=st.just(0.0), site=st.sampled_from(SITES)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_events, st.booleans(), st.sets(st.sampled_from(SITES))), max_size=40))
def test_replay_gives_the_live_state_whatever_comes(
    story: list[tuple[ev.Event, bool, set[str]]],
) -> None:
    play = Play(quorum=2)
    for event, gather_over, silent in story:
        play.record(event, gather_over=gather_over, silent=silent)
    assert replay(play.log) == play.state
    for past in play.state.rounds:
        if past.global_digest:
            assert len(past.committed) >= 2
    # A restart after any event takes the pending decisions and ends in a state that the log explains.
    for cut in range(1, len(play.log) + 1):
        again = Play(quorum=2)
        again.log, again.state = play.log[:cut], replay(play.log[:cut])
        again.record()
        assert replay(again.log) == again.state
