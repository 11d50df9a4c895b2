"""`python -m tests.fuzz.child FAMILY FIRST COUNT`: gives cases to a parser and prints what came of each.

A process of its own, so that a crash of a native library, a hang and an allocation without bounds end a case and not
the run. One line a case: its number, its outcome, the seconds it took, and words. `tests.fuzz.trials` reads them.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.families import families
from tests.fuzz.family import Family

STUCK_S = 20.0  # of wall time; then the process is ended and says where it was


def main(name: str, first: int, count: int) -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    family = families()[name]
    seeds = family.seeds()
    with tempfile.TemporaryDirectory() as root:
        try_case(family, seeds, 0, Path(root))  # what a first case loads is no case's doing
        allowed = _size_bytes("VmSize") + 4 * family.memory_bytes  # addresses; most are never touched
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        print("ready", flush=True)
        for number in range(first, first + count):
            faulthandler.dump_traceback_later(STUCK_S, exit=True)
            print(json.dumps([number, *try_case(family, seeds, number, Path(root))]), flush=True)
    faulthandler.cancel_dump_traceback_later()


def try_case(family: Family, seeds: Sequence[bytes], number: int, root: Path) -> tuple[str, float, str]:
    """Outcome (accepted, refused, crashed, slow or greedy), seconds of processor time, and words."""
    data = family.case(seeds, number)
    folder = root / "case"
    folder.mkdir()
    size, began = _size_bytes("VmRSS"), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    try:
        family.take(data, folder)
        outcome, words = "accepted", ""
    except family.refusals as error:
        outcome, words = "refused", type(error).__name__
    except Exception as error:
        outcome, words = "crashed", f"{type(error).__name__}: {error}"[:300]
    spent, grown = time.process_time() - began, _size_bytes("VmHWM") - size
    shutil.rmtree(folder, ignore_errors=True)
    if outcome != "crashed" and spent > family.limit_s:
        outcome, words = "slow", f"took {spent:.1f} s"
    elif outcome != "crashed" and grown > family.memory_bytes:
        outcome, words = "greedy", f"grew the process by {grown >> 20} MiB"
    return outcome, spent, words


def _size_bytes(line: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
