"""The quick slice of what a coordinator process is sent; `python -m tests.fuzz` is the full run."""

from __future__ import annotations

from tests.fuzz.connections import run_connections
from tests.fuzz.requests import run_requests


def test_every_request_is_answered_or_refused() -> None:
    tally = run_requests(400)
    assert tally.faults == []
    assert tally.outcomes["accepted"] and tally.outcomes["refused"]


def test_sites_are_served_while_others_break_every_rule() -> None:
    assert run_connections(20).faults == []
