"""How far two arrays of numbers are apart that should be the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


class Difference(BaseModel):
    """Figures over the numbers that are finite on both sides.

    Attributes:
        max_absolute: the greatest difference.
        max_relative: the greatest difference, relative to the reference; of maps, to the highest value of each map, as
            a patch that the memory holds is at almost 0 of itself.
        cosine: of the angle between the two as vectors, 1 where they point the same way.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    max_absolute: float
    max_relative: float
    cosine: float


def score_difference(reference: NDArray[np.float32], compiled: NDArray[np.float32]) -> Difference:
    """Of scores (n,) against scores (n,)."""
    return _difference(reference, compiled, np.abs(reference))


def map_difference(reference: NDArray[np.float32], compiled: NDArray[np.float32]) -> Difference:
    """Of maps (n, gh, gw) against maps (n, gh, gw)."""
    highest = np.abs(reference).max(axis=(1, 2), keepdims=True)
    return _difference(reference, compiled, np.broadcast_to(highest, reference.shape))


def rank_correlation(reference: NDArray[np.float32], compiled: NDArray[np.float32]) -> float:
    """Spearman's, of scores (n,) against scores (n,); 1 where both put the images into the same order."""
    ranks = (np.argsort(np.argsort(scores)).astype(np.float64) for scores in (reference, compiled))
    first, second = (found - found.mean() for found in ranks)
    return _cosine(first, second)


def _difference(
    reference: NDArray[np.float32], compiled: NDArray[np.float32], scale: NDArray[np.float32]
) -> Difference:
    finite = np.isfinite(reference) & np.isfinite(compiled)
    first, second = (array[finite].astype(np.float64) for array in (reference, compiled))
    apart = np.abs(first - second)
    relative = apart / np.maximum(scale[finite], 1e-12)
    return Difference(
        max_absolute=float(apart.max(initial=0)),
        max_relative=float(relative.max(initial=0)),
        cosine=_cosine(first, second),
    )


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / lengths) if lengths else 1.0
