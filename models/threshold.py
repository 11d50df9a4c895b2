"""Where to cut a score, from held-out normals alone: the conformal quantile, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Threshold:
    """A cut and what it promises for new normal images from the same source.

    Attributes:
        value: an image is rejected when its score is above this.
        rate: the false-reject rate that holds, in (0, 1); more than asked where `normals` are too few.
        normals: held-out normal images behind it.
    """

    value: float
    rate: float
    normals: int


def threshold(scores: NDArray[np.floating], rate: float) -> Threshold:
    """The lowest cut at which at most `rate` of new normals are rejected on average.

    With n held-out scores the cut is the k-th smallest, k = ceil((n + 1)(1 - rate)): of n + 1 exchangeable normals
    the new one is above it with a chance of at most `rate`. No cut keeps a rate below `lowest_rate(n)`; asked for
    less, it is the highest score, and `Threshold.rate` says what holds.

    Args:
        scores: (n,) of normals that were neither in the bank nor in the training.
        rate: in (0, 1).

    Raises:
        ValueError: no scores, a score that is not finite, or a rate out of (0, 1).
    """
    if not 0 < rate < 1:
        raise ValueError(f"a false-reject rate lies between 0 and 1, not at {rate}")
    if scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError(f"a threshold needs finite scores of held-out normal images; there are {scores.size}")
    n = scores.size
    return Threshold(float(np.sort(scores)[_rank(n, rate) - 1]), max(rate, lowest_rate(n)), n)


def lowest_rate(normals: int) -> float:
    """The lowest false-reject rate that this many held-out normals can promise: 1 / (n + 1)."""
    return 1 / (normals + 1)


def normals_for(rate: float, *, above: int = 0) -> int:
    """The least number of held-out normals that promise this rate with a cut that `above` of them lie above."""
    return math.ceil((above + 1) / rate - 1e-9) - 1


def rate_interval(normals: int, rate: float) -> tuple[float, float]:
    """Between which two false-reject rates the true one of a cut lies, with a confidence of 95 %.

    `Threshold.rate` is a mean over all draws of held-out normals; this is how far one draw may be off. The share of
    normals above the k-th smallest of n scores has the distribution Beta(n + 1 - k, k), whatever the scores' own is.

    Args:
        normals: n, held-out ones behind the cut, at least 1.
        rate: that was asked for, in (0, 1).
    """
    # Imported where it is used: a coordinator reads this module's names and derives no interval.
    from scipy.special import betaincinv

    k = _rank(normals, rate)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(betaincinv(normals + 1 - k, k, share)) for share in (tail, 1 - tail))
    return low, high


def normals_for_half(normals: int, rate: float) -> int:
    """The least number of held-out normals at which `rate_interval` is at most half as wide as it is at `normals`."""
    low, high = rate_interval(normals, rate)
    above = 1
    while True:
        enough = normals_for(rate, above=above)
        found = rate_interval(enough, rate)
        if enough > normals and found[1] - found[0] <= (high - low) / 2:
            return enough
        above += 1


def _rank(normals: int, rate: float) -> int:
    promised = max(rate, lowest_rate(normals))
    # The small amount keeps a product such as 100 * 0.99 from being rounded up to the next score.
    return max(1, min(normals, math.ceil((normals + 1) * (1 - promised) - 1e-9)))
