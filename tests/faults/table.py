"""The table of what was tried and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.trial import Result


@dataclass(frozen=True)
class Row:
    """One fault: of the slowest trial the seconds, of all the sum of what was lost, counted twice, or wrong."""

    fault: str
    trials: int
    completed: int
    lost: int
    duplicated: int
    wrong_bytes: int
    recovery_s: float

    @property
    def is_good(self) -> bool:
        """Whether nothing bad came of it."""
        return self.completed == self.trials and not (self.lost or self.duplicated or self.wrong_bytes)


def rows_of(results: Iterable[Result]) -> list[Row]:
    """A row for each fault, in the order in which they first come."""
    by_fault: dict[str, list[Result]] = {}
    for result in results:
        by_fault.setdefault(result.fault, []).append(result)
    return [_row(fault, group) for fault, group in by_fault.items()]


def print_rows(rows: Sequence[Row], console: Console) -> None:
    """The table, with what is bad in red."""
    table = Table("fault", *("trials", "completed", "lost", "duplicated", "wrong bytes", "recovery s"))
    for row in rows:
        cells = row.trials, row.completed, row.lost, row.duplicated, row.wrong_bytes
        style = "" if row.is_good else "bold red"
        table.add_row(row.fault, *map(str, cells), f"{row.recovery_s:.2f}", style=style)
    console.print(table)


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """The same as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2) + "\n")


def _row(fault: str, results: Sequence[Result]) -> Row:
    return Row(
        fault, len(results), sum(result.completed for result in results), sum(result.lost for result in results),
        sum(result.duplicated for result in results), sum(result.wrong_bytes for result in results),
        round(max(result.recovery_s for result in results), 2),
    )  # fmt: skip
