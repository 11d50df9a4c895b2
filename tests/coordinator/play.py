"""A job played through as a list of events: no clock, no disk, no network."""

from __future__ import annotations

import json
from collections.abc import Collection

from coordinator import events as ev
from coordinator.decisions import decide
from coordinator.fold import start, step
from coordinator.rounds import JobState

SITES = ("a", "b", "c")


class Play:
    """What the driver does, without its effects: records, decides until there is nothing but to wait."""

    def __init__(self, *, count: int = 2, sites: tuple[str, ...] = SITES, **policy: object) -> None:
        spec = {"name": "job", "method": "fedavg", "rounds": {"count": count, "sites": sites, **policy}}
        first = ev.JobSubmitted(at=0.0, spec_json=json.dumps(spec), sites=sites)
        self.log: list[ev.Event] = [first]
        self.state = start(first)

    def record(
        self, *events: ev.Event, now: float = 1.0, gather_over: bool = False, silent: Collection[str] = ()
    ) -> Play:
        for event in events:
            self._note(event)
        while isinstance(due := decide(self.state, now, gather_over=gather_over, silent=silent), ev.Event):
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


def in_round(**policy: object) -> Play:
    """All sites joined and leased in round 1."""
    return Play(**policy).join(*SITES).lease(*SITES)


def replay(log: list[ev.Event]) -> JobState:
    state = start(log[0])
    for event in log[1:]:
        state = step(state, event)
    return state
