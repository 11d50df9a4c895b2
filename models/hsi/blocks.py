"""Deals the blocks of a grid over a scene to training and testing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.hsi.windows import Pixels


def training_side(
    pixels: Pixels, numbers: NDArray[np.integer], block: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which labelled pixels (n, 2) lie in blocks that train: a random half of the blocks of a grid at a random offset.

    A class that has no pixel there gets the block where it has most, so that every class is trained.

    Args:
        pixels: (n, 2).
        numbers: (n,) the class of each.
        block: side of a block, in pixels.
        rng: draws the offset and the half.
    """
    rows, columns = ((pixels + rng.integers(0, block, 2)) // block).T
    _, blocks = np.unique(rows * (int(columns.max()) + 1) + columns, return_inverse=True)
    total = int(blocks.max()) + 1
    trains = np.zeros(total, bool)
    trains[rng.permutation(total)[: (total + 1) // 2]] = True
    for number in np.unique(numbers):
        counts = np.bincount(blocks[numbers == number], minlength=total)
        if not counts[trains].any():
            trains[counts.argmax()] = True
    return np.asarray(trains[blocks])
