"""The quick slice of every family; `python -m tests.fuzz` is the full run."""

from __future__ import annotations

import pytest

from tests.fuzz.families import families
from tests.fuzz.trials import run


@pytest.mark.parametrize("name", families())
def test_every_case_ends_in_a_value_or_in_one_of_our_errors(name: str) -> None:
    tally = run(families()[name], families()[name].quick)
    assert tally.faults == []
    assert tally.outcomes["accepted"] and tally.outcomes["refused"]
