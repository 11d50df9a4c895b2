"""Rules that look at each value by itself: trimmed mean and median (Yin et al., 2018, arXiv 1803.01498)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.fedavg.stack import Floats, Stack, trimmed_mean
from models.method import Arrays

_MOSTLY = 0.9  # a site whose values are cut more often than this is named

Merged = tuple[Arrays, dict[str, str]]


def mean(stack: Stack, assumed_bad: int) -> Merged:
    """The mean of the sites, each counted once."""
    return stack.merge(lambda values: values.mean(axis=0, dtype=np.float64)), {}


def median(stack: Stack, assumed_bad: int) -> Merged:
    """The median of each value: right as long as fewer than half of the sites are bad."""
    return stack.merge(lambda values: trimmed_mean(values, (len(values) - 1) // 2)), {}


def trimmed(stack: Stack, assumed_bad: int) -> Merged:
    """The mean of each value without the `assumed_bad` highest and lowest; names sites that are cut nearly always."""
    cut, values_seen = np.zeros(len(stack.updates)), 0

    def rule(values: Floats) -> NDArray[np.float64]:
        nonlocal values_seen
        ordered = np.sort(values, axis=0)[assumed_bad : len(values) - assumed_bad]
        cut[:] += ((values < ordered[0]) | (values > ordered[-1])).sum(axis=1)
        values_seen += values.shape[1]
        kept: NDArray[np.float64] = ordered.mean(axis=0, dtype=np.float64)
        return kept

    merged = stack.merge(rule)
    return merged, {
        site: f"cut: {share:.0%} of its values are among the {assumed_bad} highest or lowest"
        for site, share in zip(stack.sites, cut / max(1, values_seen), strict=True)
        if share > _MOSTLY
    }
