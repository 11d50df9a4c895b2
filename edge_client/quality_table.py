"""How well a model judges, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from edge_client.evaluate import Quality


def print_quality(title: str, rows: Mapping[str, Quality]) -> None:
    """Prints one row of figures for each name, in order."""
    table = Table(title=title, title_justify="left")
    table.add_column("", overflow="fold")
    for column in ("images", "image AUROC", "pixel AUROC", "false rejects", "misses"):
        table.add_column(column, justify="right", overflow="fold")
    for name, found in rows.items():
        figures = (_decimal(found.image_auroc), _decimal(found.pixel_auroc))
        shares = (_percent(found.false_reject_rate), _percent(found.miss_rate))
        table.add_row(name, str(found.images), *figures, *shares)
    Console().print(table)


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
