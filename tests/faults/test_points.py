"""The matrix is complete, and what it strikes is still where it was."""

from __future__ import annotations

import functools
import importlib

import pytest

from tests.faults.__main__ import ALL_POINTS
from tests.faults.crash_points import KINDS
from tests.faults.scenarios import SCENARIOS


def test_every_kind_of_event_has_a_scenario() -> None:
    assert set(SCENARIOS) == set(KINDS), "a new kind of event needs a job in scenarios.py that has it"


@pytest.mark.parametrize("point", sorted({point for point in ALL_POINTS if not point.startswith("drill:")}))
def test_every_point_that_is_struck_exists(point: str) -> None:
    module, _, path = point.partition(":")
    assert callable(functools.reduce(getattr, path.split("."), importlib.import_module(module)))
