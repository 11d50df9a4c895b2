"""One figure of a benchmark: what EdgeFed needs, what the peer needs, and their ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table.

    Attributes:
        name: BENCHMARK.FIGURE.
        unit: of both sides.
        peer_name: what it is compared with, and how that was run.
        ours: every repeat's value; the median counts.
        peer: every repeat's value, measured in the same run; empty where the peer is missing.
        target: the most that the ratio may be, where one was set.
        limit: the most that ours may be, in the figure's unit, where one was set.
        skipped: why a side is missing.
    """

    name: str
    unit: str
    peer_name: str
    ours: Sequence[float] = ()
    peer: Sequence[float] = ()
    target: float | None = None
    limit: float | None = None
    skipped: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours / the peer's; below 1 is better in every unit but AUROC."""
        return median(self.ours) / median(self.peer) if self.ours and self.peer else None

    def to_json(self) -> dict[str, Any]:
        """As it stands in `build/bench.json`: medians, their ratio, and [least, most] of the repeats."""
        entry: dict[str, Any] = {
            "name": self.name,
            "ours": median(self.ours) if self.ours else None,
            "peer": median(self.peer) if self.peer else None,
            "ratio": self.ratio,
            "unit": self.unit,
            "peer_name": self.peer_name,
            "ours_range": [min(self.ours), max(self.ours)] if self.ours else None,
            "peer_range": [min(self.peer), max(self.peer)] if self.peer else None,
            "repeats": max(len(self.ours), len(self.peer)),
        }
        more = {"target": self.target, "limit": self.limit, "skipped": self.skipped or None}
        return entry | {key: value for key, value in more.items() if value is not None}
