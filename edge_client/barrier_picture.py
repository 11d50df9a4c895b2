"""The loss on the way from one model to another, as an SVG picture that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 44, 52
_LONGEST_NAME = 36  # characters
_COLOURS = ("#b3402e", "#1d6fa5", "#2d7d46")  # told apart without colour vision by their darkness and by the legend


def barrier_svg(ends: tuple[str, str], shares: Sequence[float], curves: Mapping[str, Sequence[float]]) -> str:
    """A line for each way of merging.

    Args:
        ends: names of the two models.
        shares: in [0, 1], ascending.
        curves: way of merging -> its losses at the shares, finite, at most three ways.
    """
    losses = [loss for line in curves.values() for loss in line]
    low, high = min(losses), max(losses)
    high += (high - low) * 0.05 or 1.0
    parts = [_frame(ends, low, high)]
    for (name, line), colour, row in zip(curves.items(), _COLOURS, range(len(curves)), strict=False):
        points = " ".join(
            f"{_x(share):.1f},{_y(loss, low, high):.1f}" for share, loss in zip(shares, line, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(f'<rect x="{_LEFT + 150 * row}" y="14" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + 150 * row + 20}" y="26">{escape(name)}</text>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'font-family="sans-serif" font-size="13" fill="#222"><title>Loss between {escape(ends[0])} and '
        f'{escape(ends[1])}</title><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _frame(ends: tuple[str, str], low: float, high: float) -> str:
    parts = []
    for step in range(5):
        loss = low + (high - low) * step / 4
        y = _y(loss, low, high)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{loss:.3g}</text>')
    bottom = _HEIGHT - _BOTTOM + 20
    parts.append(f'<text x="{_LEFT}" y="{bottom}">{escape(_short(ends[0]))}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{bottom}" text-anchor="end">{escape(_short(ends[1]))}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="26" text-anchor="end">cross-entropy on the way</text>')
    return "".join(parts)


def _short(name: str) -> str:
    """The end of a path tells models apart, and two whole ones do not fit side by side."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(loss: float, low: float, high: float) -> float:
    return _HEIGHT - _BOTTOM - (loss - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
