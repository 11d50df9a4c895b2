"""Charts as inline SVG: values in, text out. Colours come from the page's style sheet by class name."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH = 640
NARROW = 320  # of a chart that stands beside others


def bars(rows: Sequence[tuple[str, float, str]], *, low: float, high: float = 1.0) -> str:
    """Horizontal bars with their values.

    Args:
        rows: (label, value, class of the bar) from top to bottom.
        low: value at the left edge; the axis is cut there and says so.
        high: value at the right edge.
    """
    left, right, step = 190, 70, 34
    span = WIDTH - left - right
    height = step * len(rows) + 30
    parts = []
    for tick in np.linspace(low, high, 5):
        x = left + span * (tick - low) / (high - low)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 24}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{tick:.2f}</text>')
    for index, (label, value, kind) in enumerate(rows):
        y = step * index + 5
        length = max(2.0, span * (min(value, high) - low) / (high - low))
        parts.append(f'<text x="{left - 10}" y="{y + 17}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect class="{kind}" x="{left}" y="{y}" width="{length:.1f}" height="24" rx="3"/>')
        parts.append(f'<text class="value" x="{left + length + 8:.1f}" y="{y + 17}">{value:.3f}</text>')
    return _svg(WIDTH, height, parts, f"bars from {low:.2f} to {high:.2f}")


def score_histogram(normal: NDArray[np.float64], defect: NDArray[np.float64], threshold: float | None) -> str:
    """How the scores of normal and defective images lie, and where the threshold cuts.

    Args:
        normal: (n,) raw scores of normal images.
        defect: (m,) raw scores of defective images.
        threshold: of the verdict, or None where there is none.
    """
    height, base, left = 170, 140, 8
    both = np.concatenate([normal, defect])
    edges = np.linspace(both.min(), both.max() + 1e-9, 41)
    counts = [np.histogram(values, edges)[0] / max(1, len(values)) for values in (normal, defect)]
    peak = max(float(count.max()) for count in counts) or 1.0
    width = (NARROW - 2 * left) / 40
    parts = [f'<line class="axis" x1="{left}" x2="{NARROW - left}" y1="{base}" y2="{base}"/>']
    for kind, count in zip(("normal", "defect"), counts, strict=True):
        for index, share in enumerate(count):
            tall = 120 * float(share) / peak
            x = left + width * index
            parts.append(
                f'<rect class="{kind} see-through" x="{x:.1f}" y="{base - tall:.1f}" '
                f'width="{width:.1f}" height="{tall:.1f}"/>'
            )
    if threshold is not None:
        x = left + (NARROW - 2 * left) * float(np.clip((threshold - edges[0]) / (edges[-1] - edges[0]), 0, 1))
        parts.append(f'<line class="threshold" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{base}"/>')
        anchor, shift = ("end", -6) if x > NARROW / 2 else ("start", 6)
        parts.append(f'<text class="tick" x="{x + shift:.1f}" y="16" text-anchor="{anchor}">threshold</text>')
    for value, x, anchor in ((edges[0], left, "start"), (edges[-1], NARROW - left, "end")):
        parts.append(f'<text class="tick" x="{x}" y="{base + 18}" text-anchor="{anchor}">{value:.3f}</text>')
    parts.append(f'<text class="tick" x="{NARROW / 2}" y="{base + 18}" text-anchor="middle">raw score</text>')
    return _svg(NARROW, height, parts, "histogram of scores")


def lines(series: Sequence[tuple[Sequence[float], str]], *, width: int, height: int, title: str) -> str:
    """Values over rounds, one line for each series, with the least and the greatest value at the side.

    Args:
        series: (values, class of the line), one value a round; NaN leaves a round out.
        width: of the chart.
        height: of the chart.
        title: for those who cannot see it.
    """
    both = np.concatenate([np.asarray(values, np.float64) for values, _ in series])
    low, high = float(np.nanmin(both)), float(np.nanmax(both))
    span = (high - low) or 1.0
    left, right, edge = 6, 50, 10
    parts = []
    for values, kind in series:
        step = (width - left - right) / max(1, len(values) - 1)
        points = [
            f"{left + step * index:.1f},{edge + (height - 2 * edge) * (1 - (value - low) / span):.1f}"
            for index, value in enumerate(values)
            if np.isfinite(value)
        ]
        parts.append(f'<polyline class="line {kind}" points="{" ".join(points)}"/>')
    for value, y in ((high, edge + 4), (low, height - edge + 4)):
        parts.append(f'<text class="tick" x="{width - right + 6}" y="{y}">{value:.3g}</text>')
    return _svg(width, height, parts, title)


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
