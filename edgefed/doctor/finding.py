"""What one check comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        check: what was looked at.
        status: a fault keeps something that is set up here from working; a warning will, or costs speed.
        message: what was found.
        mend: the one command that mends it; "" where there is nothing to mend.
    """

    check: str
    status: Status
    message: str
    mend: str = ""


def ok(check: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", message)


def warning(check: str, message: str, mend: str) -> Finding:
    """It works for now."""
    return Finding(check, "warning", message, mend)


def fault(check: str, message: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(check, "fault", message, mend)
