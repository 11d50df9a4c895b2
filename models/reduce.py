"""Memory-reduce: fewer rows by weighted averages, so that a bank is small on the wire and no row is one patch."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from models.kmeans import kmeans
from models.memory import MemoryBank


def reduce_bank(bank: MemoryBank, rows: int, seed: int) -> MemoryBank:
    """At most `rows` rows; each is a weighted average of the rows in one cell, so it lies in their convex hull.

    The rows are grouped around k-means anchors. In the cell of anchor a_j, row i weighs
    n_i exp(-|m_i - a_j|^2 / tau_j) with tau_j the cell's mean squared distance: near rows and frequent rows count
    more. The new row's count is the sum of the cell's counts. A bank that is small enough is returned as it is.

    Raises:
        ValueError: `rows` is below 1.
    """
    if rows >= len(bank):
        return bank
    cells = kmeans(bank.rows, rows, seed, n_init=2)
    k, labels = len(cells.centres), cells.labels
    distances = np.square(bank.rows - cells.centres[labels]).sum(axis=1)
    tau = np.bincount(labels, distances, k) / np.bincount(labels, minlength=k)
    closeness = np.exp(-distances / np.maximum(tau[labels], np.finfo(np.float32).tiny))
    weight = bank.counts * closeness
    share = (weight / np.bincount(labels, weight, k)[labels]).astype(np.float32)
    mixture = csr_matrix((share, (labels, np.arange(len(bank)))), shape=(k, len(bank)))
    return MemoryBank(np.asarray(mixture @ bank.rows), np.bincount(labels, bank.counts, k).astype(np.float32))
