"""`python -m tests.fuzz [FAMILY [NUMBER]]`: the full run as a table; or one family; or one case, with its traceback."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz.families import families
from tests.fuzz.table import everything


def show(name: str, number: int) -> None:
    """Gives one case to its parser in this process."""
    family = families()[name]
    data = family.case(family.seeds(), number)
    print(f"{len(data)} bytes: {data[:2000]!r}")
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "case")
        folder.mkdir()
        print(family.take(data, folder))


def main(names: list[str]) -> int:
    """Runs whole families; 1 where a case ended in neither a value nor one of our errors."""
    faults: list[str] = []
    trials = everything()
    for name in names or trials:
        tally = trials[name]()
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
        print(f"{name:24} {outcomes}; slowest {tally.slowest_s:.2f} s; {tally.seconds:.0f} s", flush=True)
        faults += tally.faults
    print(*faults[:40], sep="\n")
    return bool(faults)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        show(sys.argv[1], int(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
