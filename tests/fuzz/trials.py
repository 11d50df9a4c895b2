"""Runs families of cases in processes of their own and counts what came of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fuzz.family import Family

GOOD = ("accepted", "refused")
READY = "ready\n"


@dataclass
class Tally:
    """What came of the cases of one family.

    Attributes:
        family: its name.
        outcomes: outcome -> cases.
        faults: one line for each case that ended in neither a valid value nor one of our errors.
        slowest_s: the most processor time that a case took.
        seconds: of wall time for all of them.
    """

    family: str
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    seconds: float = 0.0

    def note(self, number: int, outcome: str, spent: float, words: str) -> None:
        """Takes the outcome of one case in."""
        self.outcomes[outcome] += 1
        self.slowest_s = max(self.slowest_s, spent)
        if outcome not in GOOD:
            self.faults.append(f"{self.family} {number}: {outcome}: {words}")


def run(family: Family, count: int) -> Tally:
    """Gives the first `count` cases of a family to its parser."""
    tally, began = Tally(family.name), time.monotonic()
    while (done := tally.outcomes.total()) < count:
        command = [sys.executable, "-m", "tests.fuzz.child", family.name, str(done), str(count - done)]
        child = subprocess.run(command, capture_output=True, text=True)
        if READY not in child.stdout:
            raise RuntimeError(f"the family {family.name} cannot be tried: {child.stderr[-2000:]}")
        for line in child.stdout.partition(READY)[2].splitlines():
            tally.note(*json.loads(line))
        if tally.outcomes.total() < count:  # the case after the last line ended the process
            last = " | ".join(child.stderr.strip().splitlines()[-12:])
            stuck = "Timeout" in child.stderr
            tally.note(tally.outcomes.total(), "stuck" if stuck else "ended", 0.0, f"{child.returncode}: {last}")
    tally.seconds = time.monotonic() - began
    return tally
