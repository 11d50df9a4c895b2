"""Blocks of a scene that train, validate and test, with guard bands between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.hsi.splits import BLOCK, PER_CLASS
from models.hsi.windows import Pixels, footprint, touches

_DRAWS = 200
_KNOWN = 20  # pixels of a class that make it worth testing


def three_parts(labels: NDArray[np.integer], window: int, draw: int) -> tuple[Pixels, Pixels, Pixels]:
    """Training, validation and test pixels (n, 2), none of which share a window; most classes in all of 200 grids.

    Args:
        labels: (h, w), 0 is unlabelled.
        window: side of the windows.
        draw: seed of the grids.
    """
    guard = window | 1  # an even window that is reflected reads one pixel more to its other side
    drawn = [_areas(labels, np.random.default_rng((draw, index))) for index in range(_DRAWS)]
    train_area, *others = max(drawn, key=lambda areas: _shared_classes(labels, areas))
    rng = np.random.default_rng(draw)
    classes = [int(number) for number in np.unique(labels) if number]
    chosen = [rng.permutation(np.argwhere((labels == number) & train_area))[:PER_CLASS] for number in classes]
    pixels = np.concatenate(chosen)
    read = footprint(pixels, guard, labels.shape)
    known = np.isin(labels, labels[tuple(pixels.T)])
    validation, test = (np.argwhere(known & area) for area in others)
    test = test[~touches(test, guard, read)]
    validation = validation[~touches(validation, guard, read | footprint(test, guard, labels.shape))]
    return pixels, validation, test


def _areas(labels: NDArray[np.integer], rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    down, right = rng.integers(0, BLOCK, 2)
    height, width = labels.shape
    rows, columns = (np.arange(height) + down) // BLOCK, (np.arange(width) + right) // BLOCK
    blocks = rows[:, None] * (columns[-1] + 1) + columns
    order = rng.permutation(np.unique(blocks[labels > 0]))
    half, rest = len(order) // 2, len(order) * 3 // 4
    return [np.isin(blocks, part) for part in np.split(order, [half, rest])]


def _shared_classes(labels: NDArray[np.integer], areas: list[NDArray[np.bool_]]) -> int:
    counts = [np.bincount(labels[area], minlength=int(labels.max()) + 1)[1:] > _KNOWN for area in areas]
    return int(sum((counts[0] & other).sum() for other in counts[1:]))
