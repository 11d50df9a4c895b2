"""The power fails at a coordinator or a site: nothing is left but what was synced, see `injected.disk`.

Nothing is taken for granted: what start and join have written counts as durable only where they have synced it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.faults.crash_points import APPEND, CLIENT, COORDINATOR
from tests.faults.injected.strikes import Strike
from tests.faults.scenarios import SCENARIOS, A
from tests.faults.trial import Trial, struck_by


def power_cut_trials() -> Iterator[Trial]:
    """After every kind of event, and at every step of a site's work."""
    for kind, scenario in SCENARIOS.items():
        strike = Strike("coordinator", APPEND, "after", kind, 1, "power cut")
        yield Trial(f"power cut at the coordinator: {kind} is recorded", struck_by(strike), scenario)
    for what, strike in COORDINATOR.items():
        yield Trial(f"power cut at the coordinator: {what}", struck_by(replace(strike, action="power cut")))
    for what, strike in CLIENT.items():
        cut = struck_by(replace(strike, action="power cut"))
        yield Trial(f"power cut at a site: {what}", cut, struck=A)
