"""The line comes first: while images are judged too slowly, the site's training waits.

Who serves refreshes a file in the state folder; training, in another process, pauses while the file is fresh. A server
that has ended refreshes nothing, so it holds up no training.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from models.method import Report

FILE = "line-over-latency-budget"
FRESH_S = 5.0
PAUSED = "paused for the line"

_LOOK_EVERY_S = 0.25


def ask_to_pause(root: Path) -> None:
    """Asks training on a state folder to pause for the next `FRESH_S` seconds."""
    (root / FILE).touch()


def asked_to_pause(root: Path) -> bool:
    """Whether somebody has asked for it in the last `FRESH_S` seconds."""
    try:
        age = time.time() - (root / FILE).stat().st_mtime
    except OSError:
        return False
    return abs(age) < FRESH_S  # a file from the future is of a clock that was set, and holds up nothing


def pausing(report: Report, root: Path, sleep: Callable[[float], None] = time.sleep) -> Report:
    """A report of progress that comes back only when training may go on; it says so when it does not.

    Args:
        report: that it passes on to.
        root: the state folder.
        sleep: for so many seconds.
    """

    def pause(stage: str, step: int, steps: int) -> None:
        report(stage, step, steps)
        if asked_to_pause(root):
            report(PAUSED, step, steps)
        while asked_to_pause(root):
            sleep(_LOOK_EVERY_S)

    return pause
