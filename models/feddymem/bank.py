"""The dynamic memory bank of a site: k-means of its patches, re-made through the trained generator in every round."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from models.feddymem.generator import MemoryGenerator, apply
from models.kmeans import assign, kmeans
from models.memory import MemoryBank

_MANY_ROWS = 1024


def patches_for(rows: int) -> int:
    """How many patches of the training images, drawn at random, make a bank of this many rows."""
    return max(20_000, 10 * rows)


def first_bank(patches: NDArray[np.float32], rows: int, seed: int) -> MemoryBank:
    """The bank of a site that has none yet: at most `rows` k-means centres of patches (n, d).

    Rows that stand for a few patches each settle in two steps: ten change no AUROC and take five times as long.
    """
    clusters = kmeans(patches, rows, seed, max_iter=10 if rows <= _MANY_ROWS else 2)
    return MemoryBank(clusters.centres, clusters.weights)


def remake_bank(
    rows: NDArray[np.float32],
    blocks: Iterable[NDArray[np.float32]],
    generator: MemoryGenerator | None,
    momentum: float,
) -> MemoryBank:
    """Moves each row towards the mean of the site's patches that the trained generator finds nearest to it.

    The generator decides which patches belong to a row; the row itself stays in the backbone's coordinates, which
    are the same at every site. Rows that no patch is nearest to any more are left out.

    Args:
        rows: (m, d) of this site's bank.
        blocks: all training patches of the site, some (n, d) at a time.
        generator: of this site, or None.
        momentum: share of the old row that stays.
    """
    sums, counts = np.zeros(rows.shape, np.float64), np.zeros(len(rows), np.int64)
    for patches in blocks:
        labels, _ = assign(apply(generator, patches), rows)
        order = np.argsort(labels, kind="stable")
        found, starts = np.unique(labels[order], return_index=True)
        sums[found] += np.add.reduceat(patches[order], starts, axis=0)
        counts += np.bincount(labels, minlength=len(rows))
    met = counts > 0
    means = sums[met] / counts[met, None]
    moved = momentum * rows[met] + (1 - momentum) * means
    return MemoryBank(moved.astype(np.float32), counts[met].astype(np.float32))
