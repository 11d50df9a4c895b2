"""The dynamic memory bank of a site: k-means of its patches, re-made through the generator in every round."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from models.feddymem.generator import MemoryGenerator, apply
from models.kmeans import assign, kmeans
from models.memory import MemoryBank

_STEPS = 10  # Lloyd steps: AUROC does not change after about six


def first_bank(patches: NDArray[np.float32], rows: int, seed: int) -> MemoryBank:
    """The bank of a site that has none yet: at most `rows` k-means centres of patches (n, d)."""
    clusters = kmeans(patches, rows, seed, max_iter=_STEPS)
    return MemoryBank(clusters.centres, clusters.weights)


def remake_bank(
    rows: NDArray[np.float32],
    blocks: Iterable[NDArray[np.float32]],
    generator: MemoryGenerator | None,
    momentum: float,
) -> MemoryBank:
    """Moves each row towards the mean of the site's patches that the trained generator finds nearest to it.

    The generator decides which patches belong to a row; the row itself stays in the backbone's coordinates, which
    are the same at every site. Rows that no patch of this site is nearest to belong to other sites and are left out.

    Args:
        rows: (m, d) to start from.
        blocks: all training patches of the site, some (n, d) at a time.
        generator: of this site, or None.
        momentum: share of the old row that stays.
    """
    mapped = apply(generator, rows)
    sums, counts = np.zeros(rows.shape, np.float64), np.zeros(len(rows), np.int64)
    for patches in blocks:
        labels, _ = assign(apply(generator, patches), mapped)
        order = np.argsort(labels, kind="stable")
        found, starts = np.unique(labels[order], return_index=True)
        sums[found] += np.add.reduceat(patches[order], starts, axis=0)
        counts += np.bincount(labels, minlength=len(rows))
    met = counts > 0
    means = sums[met] / counts[met, None]
    moved = momentum * rows[met] + (1 - momentum) * means
    return MemoryBank(moved.astype(np.float32), counts[met].astype(np.float32))
