from __future__ import annotations

import dataclasses

import pytest

from coordinator import events as ev
from coordinator.events import event_from_json, event_to_json

_EXAMPLES: list[ev.Event] = [
    ev.JobSubmitted(at=1.5, spec_json="{}", sites=("a", "b")),
    ev.SiteJoined(at=1.5, site="a", declaration={"width": "8"}),
    ev.SiteRefused(at=1.5, site="a", reason="ünlike"),
    ev.SiteInvited(at=1.5, site="a"),
    ev.SiteLeft(at=1.5, site="a", reason="revoked", discard=True),
    ev.LateUpdateKept(at=1.5, round=1, site="a", epoch=1, digest="f" * 64, weight=0.1, size=3),
    ev.LateUpdateRejected(at=1.5, round=1, site="a", epoch=1, digest="f" * 64, reason="NaN"),
    ev.RoundShort(at=1.5, round=1, reason="waits for its quorum", again=("a",)),
    ev.RoundOpened(at=1.5, round=1, sites=("a",)),
    ev.LeaseGranted(at=1.5, round=1, site="a", epoch=1),
    ev.UpdateCommitted(at=1.5, round=1, site="a", epoch=1, digest="f" * 64, weight=0.1, size=3),
    ev.UpdateRejected(at=1.5, round=1, site="a", epoch=1, digest="f" * 64, reason="NaN"),
    ev.LeaseLost(at=1.5, round=1, site="a", epoch=1, reason="silent", may_return=True),
    ev.AggregationStarted(at=1.5, round=1),
    ev.ModelPublished(at=1.5, round=1, digest="f" * 64, size=3, remarks={"a": "clipped"}, metrics={"spread": 0.5}),
    ev.RoundClosed(at=1.5, round=1, reason="done", missing={"b": "silent"}),
    ev.ModelInstalled(at=1.5, site="a"),
    ev.JobEnded(at=1.5, outcome="finished", reason=""),
]


@pytest.mark.parametrize("event", _EXAMPLES, ids=lambda event: type(event).__name__)
def test_event_is_the_same_after_json(event: ev.Event) -> None:
    assert event_from_json(*event_to_json(event)) == event


def test_every_kind_of_event_has_an_example() -> None:
    kinds = {kind for kind in vars(ev).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)}
    assert {type(event) for event in _EXAMPLES} == kinds - {ev.Event}
