"""Round policies as event lists: late updates, buffers, deadlines, waiting for a quorum, leaving and returning."""

from __future__ import annotations

import pytest

from coordinator import events as ev
from coordinator.answers import Prepare, Train, answer_to_update, late_answer, lease_fault, work_for
from coordinator.decisions import Aggregate, deadline
from coordinator.fold import late_can_deliver
from coordinator.rounds import LateUpdate, discount
from tests.coordinator.play import SITES, Play, in_round, update


def late(site: str, number: int = 1, epoch: int = 1, digest: str = "e" * 64) -> ev.LateUpdateKept:
    return ev.LateUpdateKept(at=0.0, round=number, site=site, epoch=epoch, digest=digest, weight=2.0, size=9)


def without_c(**policy: object) -> Play:
    """Round 1 has gone on without site c, which is still training; round 2 is open."""
    return in_round(quorum=2, **policy).commit("a", "b").record(silent=["c"]).publish()


def test_late_update_counts_in_the_next_round_with_its_discount() -> None:
    play = without_c(late="next-round").record(late("c"))
    assert play.state.late == {"c": LateUpdate(1, "e" * 64, 2.0, 9)}
    play.lease(*SITES, number=2, epoch=1).commit("a", "b", number=2).record(silent=["c"])
    assert play.waits_for == Aggregate(2)
    assert play.state.round.late["c"].digest == "e" * 64
    assert discount(play.state, play.state.round.late["c"], 2) == pytest.approx(2**-0.5)
    assert late_answer(play.state, "c", 1) == "round 1 was over; it counts 0.71 in round 2"


def test_late_update_is_dropped_where_the_job_says_so() -> None:
    play = without_c(late="drop")
    before = play.state
    assert play.record(late("c")).state is before
    answer = answer_to_update(before, "c", 1, 1, "e" * 64)
    assert not answer.accepted
    assert "round 1 of job job went on without c" in answer.reason


def test_late_update_gives_way_to_a_newer_one_of_its_site() -> None:
    play = without_c(late="next-round").record(late("c")).lease(*SITES, number=2).commit(*SITES, number=2)
    assert play.state.round.late == {}
    assert play.state.round.committed == ["a", "b", "c"]
    assert answer_to_update(play.state, "c", 1, 1, "e" * 64).accepted  # a repeat gets the first answer
    assert "a newer update of c took its place" in late_answer(play.state, "c", 1)


def test_late_update_counts_once_however_often_it_comes() -> None:
    play = without_c(late="next-round").record(late("c"), late("c"), late("c", digest="d" * 64))
    assert play.state.late["c"].digest == "e" * 64
    play.lease("a", "b", number=2).commit("a", "b", number=2).record(silent=["c"]).publish(2)
    before = play.state
    assert play.record(late("c")).state is before


def test_late_update_of_an_older_epoch_is_fenced() -> None:
    play = in_round(quorum=2, late="next-round").record(silent=["c"]).lease("c", epoch=2).commit("a", "b")
    play.record(silent=["c"]).publish()
    assert not late_can_deliver(play.state, "c", 1, 1)
    assert late_can_deliver(play.state, "c", 1, 2)


def test_late_update_that_is_bad_is_rejected_by_name() -> None:
    rejected = ev.LateUpdateRejected(at=0.0, round=1, site="c", epoch=1, digest="e" * 64, reason="NaN")
    play = without_c(late="next-round").record(rejected)
    assert play.state.late == {}
    assert answer_to_update(play.state, "c", 1, 1, "e" * 64).reason == "NaN"


def test_update_that_comes_while_its_round_is_aggregated_is_late() -> None:
    play = in_round(quorum=2, late="next-round").commit("a", "b").record(silent=["c"])
    assert play.waits_for == Aggregate(1)
    play.record(late("c")).publish()
    assert list(play.state.late) == ["c"]


def test_buffer_is_aggregated_when_full_and_stragglers_go_on() -> None:
    play = in_round(buffer=2, late="next-round", count=3).commit("a", "b")
    assert play.waits_for == Aggregate(1)
    play.publish()
    assert play.state.round.number == 2
    assert late_can_deliver(play.state, "c", 1, 1)  # c trains on and is heard of
    play.record(late("c")).lease("a", number=2).commit("a", number=2)
    assert play.waits_for == Aggregate(2)
    assert (play.state.round.committed, list(play.state.round.late)) == (["a"], ["c"])


def test_deadline_closes_a_round_with_its_quorum_and_names_who_was_late() -> None:
    play = in_round(quorum=2, deadline_s=60).commit("a", "b")
    assert play.waits_for is None
    assert deadline(play.state) == play.state.round.opened_at + 60
    assert play.record(now=62.0).waits_for == Aggregate(1)
    closed = play.record(ev.ModelPublished(at=2.0, round=1, digest="f" * 64, size=1), now=63.0).state.rounds[0]
    assert closed.missing == {"c": "had not delivered 60 s after the round's opening"}


def test_deadline_without_a_quorum_fails_the_job() -> None:
    play = in_round(quorum=2, deadline_s=60).commit("a").record(now=62.0)
    assert play.state.outcome == "failed"
    assert "only 1 of 3 sites delivered, 2 needed" in play.state.reason


def failed(site: str, epoch: int = 1) -> ev.LeaseLost:
    return ev.LeaseLost(at=0.0, round=1, site=site, epoch=epoch, reason="no disk", may_return=False)


def test_short_round_waits_says_so_and_lets_sites_try_again() -> None:
    play = in_round(short="wait").commit("a", "b").record(failed("c"))
    this = play.state.round
    assert this.accepting
    assert this.reason == "waits for its quorum: only 2 of 3 sites delivered, 3 needed; c: no disk"
    assert work_for(play.state, "c") == Train(1, 2, grant=True)
    assert play.lease("c", epoch=2).commit("c", epoch=2).waits_for == Aggregate(1)


def test_short_round_lets_sites_try_again_only_now_and_then() -> None:
    play = in_round(short="wait", progress_s=100).commit("a", "b").record(failed("c"))
    play.lease("c", epoch=2).record(failed("c", epoch=2))
    assert work_for(play.state, "c") is None
    assert deadline(play.state) == 101.0
    assert isinstance(work_for(play.record(now=101.0).state, "c"), Train)


def test_short_round_takes_back_a_site_that_was_silent() -> None:
    play = in_round(short="wait").commit("a", "b").record(silent=["c"])
    assert play.state.outcome is None
    assert play.commit("c").waits_for == Aggregate(1)


def test_short_round_after_its_deadline_goes_on_with_the_first_quorum() -> None:
    play = in_round(short="wait", quorum=2, deadline_s=60).commit("a").record(now=62.0)
    assert play.state.outcome is None
    assert play.record(update("b"), now=500.0).waits_for == Aggregate(1)


def test_site_that_leaves_is_not_waited_for() -> None:
    play = in_round().commit("a", "b").record(ev.SiteLeft(at=0.0, site="c", reason="moves house"))
    assert play.waits_for == Aggregate(1)
    play.publish()
    assert sorted(play.state.round.leases) == ["a", "b"]
    assert play.state.rounds[0].missing == {"c": "moves house"}
    assert work_for(play.state, "c") is None
    assert lease_fault(play.state, "c", 1, 1) == "c has left job job: moves house"


def test_site_that_leaves_keeps_what_it_has_delivered() -> None:
    play = in_round().commit("a").record(ev.SiteLeft(at=0.0, site="a", reason="moves house")).commit("b", "c")
    assert play.state.round.committed == ["a", "b", "c"]


def test_revoked_site_loses_what_the_open_round_has_of_it() -> None:
    left = ev.SiteLeft(at=0.0, site="a", reason="its certificate was revoked", discard=True)
    play = in_round(quorum=2).commit("a").record(left).commit("b", "c")
    assert play.state.round.committed == ["b", "c"]


def test_job_ends_when_every_site_has_left() -> None:
    gone = [ev.SiteLeft(at=0.0, site=site, reason="strike") for site in SITES]
    play = in_round().record(*gone)
    assert play.state.outcome == "failed"
    assert "a: strike" in play.state.reason


def test_invited_site_takes_part_from_the_next_round_on() -> None:
    play = in_round().record(ev.SiteInvited(at=0.0, site="d"))
    assert isinstance(work_for(play.state, "d"), Prepare)
    play.join("d")
    assert work_for(play.state, "d") is None
    play.commit(*SITES).publish()
    assert sorted(play.state.round.leases) == ["a", "b", "c", "d"]
    assert play.state.needed == 4


def test_site_that_left_comes_back_when_it_is_invited() -> None:
    play = in_round().record(ev.SiteLeft(at=0.0, site="c", reason="strike"), ev.SiteInvited(at=0.0, site="c"))
    play.join("c").commit("a", "b").publish()
    assert sorted(play.state.round.leases) == list(SITES)
