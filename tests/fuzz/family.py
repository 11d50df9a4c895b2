"""A family of hostile inputs: what it starts from, how it is bent, who takes it, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from protos.errors import EdgeFedError

LARGE = 64 << 10

Mutate = Callable[[Random, bytes], bytes]
Take = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Family:
    """Cases are numbered; a number and a name always give the same bytes.

    Attributes:
        name: in the table.
        seeds: makes the inputs to start from, valid ones and crafted ones; they are the first cases as they are.
        mutate: bends one of them.
        take: gives the bytes to the real parser, with an empty folder to work in, and holds what it accepts against
            what a caller relies on (AssertionError where that does not hold).
        refusals: the errors that are answers; every other exception is a crash.
        quick: cases of the quick slice.
        full: cases of the full run.
        memory_bytes: how much the process may grow over its size before the first case.
        limit_s: seconds of processor time for one case.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate
    take: Take
    refusals: tuple[type[Exception], ...] = (EdgeFedError,)
    quick: int = 150
    full: int = 10_000
    memory_bytes: int = 64 << 20
    limit_s: float = 1.0

    def case(self, seeds: Sequence[bytes], number: int) -> bytes:
        """The bytes of one case."""
        if number < len(seeds):
            return seeds[number]
        random = Random(f"{self.name} {number}")
        data = random.choice([seed for seed in seeds if len(seed) < LARGE])  # the large ones are tried as they are
        for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
            data = self.mutate(random, data)
        return data
