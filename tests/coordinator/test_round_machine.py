"""The rounds of a job against a plain model: whatever comes in whatever order, duplicates and old epochs as well."""

from __future__ import annotations

from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from coordinator import events as ev
from coordinator.answers import answer_to_update, work_for
from coordinator.fold import late_can_deliver
from coordinator.rounds import Round
from tests.coordinator.play import Play, replay

SITES = ("a", "b", "c", "d")
sites = st.sampled_from(SITES)
ages = st.sampled_from([0, 0, 0, 1, 1, 2])  # how many rounds ago an event's round was, and how old its epoch is
digests = st.sampled_from(["1" * 64, "2" * 64])


class PlainModel:
    """What must hold of deliveries, said without leases and folds: a ticket is good once, until it is replaced."""

    def __init__(self, *, late: bool) -> None:
        self.late = late
        self.tickets: dict[tuple[str, int], int] = {}  # (site, round) -> epoch of the latest grant
        self.spent: set[tuple[str, int]] = set()  # delivered, rejected, or given up
        self.gone: set[str] = set()

    def grant(self, site: str, number: int, epoch: int) -> None:
        """A new ticket; only a round that waits for its quorum gives one to a site that has spent its last."""
        assert epoch > self.tickets.get((site, number), 0)
        self.tickets[site, number] = epoch
        self.spent.discard((site, number))

    def counts(self, site: str, number: int, epoch: int, *, accepting: bool) -> bool:
        good = self.tickets.get((site, number)) == epoch > 0 and (site, number) not in self.spent
        return good and site not in self.gone and (accepting or self.late)


class RoundMachine(RuleBasedStateMachine):
    """Plays random events at a job and compares it with the model."""

    play: Play
    model: PlainModel
    closed: dict[int, tuple[Any, ...]]

    @initialize(
        late=st.sampled_from([True, True, False]),
        wait=st.booleans(),
        quorum=st.sampled_from([0, 1, 2, 2]),
        buffer=st.integers(0, 3),
        deadline=st.booleans(),
    )
    def submit(self, late: bool, wait: bool, quorum: int, buffer: int, deadline: bool) -> None:
        policy: dict[str, object] = {"late": "next-round" if late else "drop", "short": "wait" if wait else "fail"}
        policy |= {"quorum": quorum, "deadline_s": 50 if deadline else 0, "progress_s": 10}
        if late and buffer >= max(quorum, 1):
            policy["buffer"] = buffer
        self.play, self.model, self.closed = Play(count=4, sites=SITES, **policy), PlainModel(late=late), {}
        self.play.join("a", "b", "c")

    @rule(site=sites, digest=digests)
    def do_the_round(self, site: str, digest: str) -> None:
        """What a good site does; without it random events seldom end a round."""
        self.ask_for_work(site)
        number = len(self.play.state.rounds)
        if epoch := self.model.tickets.get((site, number), 0):
            self._deliver(site, number, epoch, digest, 1)

    @rule(number=st.integers(2, 4))
    def go_on(self, number: int) -> None:
        """A round as it often is: all start, some deliver, the others fall silent and it goes on without them."""
        for site in SITES:
            self.ask_for_work(site)
        for site in SITES[:number]:
            self.do_the_round(site, "5" * 64)
        self.play.record(silent=SITES)
        self.publish(0)

    @rule(site=sites)
    def ask_for_work(self, site: str) -> None:
        work = work_for(self.play.state, site)
        if getattr(work, "grant", False):
            self.play.lease(site, number=work.round, epoch=work.epoch)
            self.model.grant(site, work.round, work.epoch)

    @rule(site=sites, age=ages, old=ages, digest=digests, size=st.integers(1, 9))
    def deliver(self, site: str, age: int, old: int, digest: str, size: int) -> None:
        self._deliver(site, *self._lease(site, age, old), digest, size)

    def _deliver(self, site: str, number: int, epoch: int, digest: str, size: int) -> None:
        state = self.play.state
        known = answer_to_update(state, site, number, epoch, digest)
        this = state.rounds[number - 1] if number <= len(state.rounds) else None
        should = this is not None and self.model.counts(site, number, epoch, accepting=this.accepting)
        assert (known is None) == (should and state.outcome is None)
        if known is None:
            kind = ev.LateUpdateKept if late_can_deliver(state, site, number, epoch) else ev.UpdateCommitted
            self._record(kind, site, number, epoch, digest=digest, weight=1.0, size=size)
            self.model.spent.add((site, number))
            assert answer_to_update(self.play.state, site, number, epoch, digest).accepted

    @rule(site=sites, age=ages, old=ages, kind=st.sampled_from([ev.UpdateCommitted, ev.LateUpdateKept]))
    def forge(self, site: str, age: int, old: int, kind: type[ev.Event]) -> None:
        """An event that no driver would write: `step` must be as strict as the answers are."""
        number, epoch = self._lease(site, age, old)
        state = self.play.state
        this = state.rounds[number - 1] if number <= len(state.rounds) else None
        fits = this is not None and this.accepting == (kind is ev.UpdateCommitted)
        should = fits and self.model.counts(site, number, epoch, accepting=this.accepting) and state.outcome is None
        self._record(kind, site, number, epoch, digest="3" * 64, weight=1.0, size=1)
        if should:
            self.model.spent.add((site, number))
        else:
            assert self.play.state is state

    @rule(site=sites, age=ages, old=ages)
    def reject(self, site: str, age: int, old: int) -> None:
        number, epoch = self._lease(site, age, old)
        before = self.play.state
        self._record(ev.UpdateRejected, site, number, epoch, digest="4" * 64, reason="NaN")
        if self.play.state is not before:
            self.model.spent.add((site, number))

    @rule(site=sites, age=ages, old=ages, may_return=st.booleans())
    def lose(self, site: str, age: int, old: int, may_return: bool) -> None:
        number, epoch = self._lease(site, age, old)
        before = self.play.state
        self._record(ev.LeaseLost, site, number, epoch, reason="gone", may_return=may_return)
        if self.play.state is not before and not may_return:
            self.model.spent.add((site, number))

    @rule(site=sites, discard=st.booleans())
    def leave(self, site: str, discard: bool) -> None:
        before = self.play.state
        self.play.record(ev.SiteLeft(at=0.0, site=site, reason="left", discard=discard))
        if self.play.state is not before:
            self.model.gone.add(site)
            if self.play.state.rounds and self.play.state.rounds[-1].accepting:
                self.model.spent.add((site, len(self.play.state.rounds)))

    @rule(site=sites)
    def come_back(self, site: str) -> None:
        before = self.play.state
        self.play.record(ev.SiteInvited(at=0.0, site=site)).join(site)
        if self.play.state is not before and self.play.state.members[site].state == "joined":
            self.model.gone.discard(site)

    @rule(age=ages)
    def publish(self, age: int) -> None:
        self.play.publish(max(1, len(self.play.state.rounds) - age))

    @rule(now=st.floats(0, 100), silent=st.sets(sites), gather_over=st.booleans())
    def pass_time(self, now: float, silent: set[str], gather_over: bool) -> None:
        self.play.record(now=now, silent=silent, gather_over=gather_over)

    @rule()
    def restart(self) -> None:
        self.play.state = replay(self.play.log)
        self.play.record()

    def teardown(self) -> None:
        event(f"rounds closed: {len(self.closed)}, outcome: {self.play.state.outcome}")
        kinds = {type(entry).__name__ for entry in self.play.log}
        for kind in sorted(kinds & {"LateUpdateKept", "RoundShort"}):
            event(kind)

    @invariant()
    def replay_equals_live(self) -> None:
        if self.play.log:
            assert replay(self.play.log) == self.play.state

    @invariant()
    def repeated_log_changes_nothing(self) -> None:
        assert replay([event for event in self.play.log for _ in range(2)]) == self.play.state

    @invariant()
    def no_update_is_counted_twice(self) -> None:
        counted = [made_for for this in self.play.state.rounds for made_for in _counted(this)]
        assert len(counted) == len(set(counted))
        assert set(counted) <= self.model.spent

    @invariant()
    def closed_rounds_stay_closed(self) -> None:
        for this in self.play.state.rounds:
            if this.closed_at is not None:
                record = (this.committed, this.late, this.global_digest, this.reason, this.missing, this.closed_at)
                assert self.closed.setdefault(this.number, record) == record

    @invariant()
    def published_rounds_had_their_quorum(self) -> None:
        policy = self.play.state.spec.rounds
        for this in self.play.state.rounds:
            if this.global_digest:
                assert len(_counted(this)) >= max(1, policy.quorum or policy.buffer)

    def _lease(self, site: str, age: int, old: int) -> tuple[int, int]:
        number = max(1, len(self.play.state.rounds) - age)
        return number, max(0, self.model.tickets.get((site, number), 0) - old)

    def _record(self, kind: type[ev.Event], site: str, number: int, epoch: int, **fields: Any) -> None:
        self.play.record(kind(at=0.0, site=site, round=number, epoch=epoch, **fields))


def _counted(this: Round) -> list[tuple[str, int]]:
    if not this.aggregating:
        return []
    return [(site, this.number) for site in this.committed] + [(s, late.made_for) for s, late in this.late.items()]


TestRounds = RoundMachine.TestCase
TestRounds.settings = settings(max_examples=300, stateful_step_count=40, deadline=None, derandomize=True)
