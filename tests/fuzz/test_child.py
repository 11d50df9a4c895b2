"""The harness itself: a parser that crashes, dawdles or takes all memory is found out."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

import pytest

from protos.errors import InvalidInput
from tests.fuzz.child import try_case
from tests.fuzz.family import Family


def _crash(data: bytes, folder: Path) -> None:
    raise KeyError(data)


def _refuse(data: bytes, folder: Path) -> None:
    raise InvalidInput("no")


def _dawdle(data: bytes, folder: Path) -> None:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass


def _hoard(data: bytes, folder: Path) -> None:
    # Fresh pages: what the process has freed before would not make it grow.
    with mmap.mmap(-1, 100 << 20) as pages:
        for start in range(0, len(pages), mmap.PAGESIZE):
            pages[start] = 1


@pytest.mark.parametrize(
    ("take", "outcome"),
    [(_crash, "crashed"), (_refuse, "refused"), (_dawdle, "slow"), (_hoard, "greedy"), (len, "crashed")],
)
def test_outcome_is_told(take: object, outcome: str, tmp_path: Path) -> None:
    family = Family("one", lambda: [b"x"], lambda random, data: data, take, limit_s=0.2)  # type: ignore[arg-type]
    assert try_case(family, family.seeds(), 0, tmp_path)[0] == outcome


def test_a_case_is_the_same_bytes_whenever_it_is_made() -> None:
    from tests.fuzz.families import families

    family = families()["job specifications"]
    seeds = family.seeds()
    cases = [family.case(seeds, number) for number in range(40)]
    assert cases == [family.case(seeds, number) for number in range(40)]
    assert len(set(cases)) > 35
