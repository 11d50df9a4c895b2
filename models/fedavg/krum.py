"""Krum and multi-Krum: the updates that lie nearest to the others (Blanchard et al., 2017).

With n updates, f of them bad, an update's score is the sum of its squared distances to the n - f - 2 nearest others.
Krum takes the update with the lowest score, multi-Krum the mean of the n - f - 2 lowest, which is as many as its proof
allows (Damaskinos et al., 2019). n is at least 2f + 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.fedavg.by_value import Merged
from models.fedavg.stack import Stack


def krum(stack: Stack, assumed_bad: int) -> Merged:
    """The one update that is nearest to the others."""
    return _nearest(stack, assumed_bad, 1, "krum")


def multi_krum(stack: Stack, assumed_bad: int) -> Merged:
    """The mean of the n - f - 2 updates that are nearest to the others."""
    return _nearest(stack, assumed_bad, len(stack.updates) - assumed_bad - 2, "multi-krum")


def scores(distances: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """(n,) the sums of each row's `neighbours` lowest of (n, n) squared distances, the one to itself left out."""
    others = distances[~np.eye(len(distances), dtype=bool)].reshape(len(distances), -1)
    lowest: NDArray[np.float64] = np.sort(others, axis=1)[:, :neighbours].sum(axis=1)
    return lowest


def squared_distances(stack: Stack) -> NDArray[np.float64]:
    """(n, n) between whole updates, added up part by part."""
    products = np.zeros((len(stack.updates),) * 2)
    for part in stack.parts():
        values = part.values.astype(np.float64)  # squares of float32 fit, and differences of them keep their digits
        products += values @ values.T
    lengths = np.diag(products)
    return np.maximum(lengths[:, None] + lengths[None] - 2 * products, 0)


def _nearest(stack: Stack, assumed_bad: int, count: int, rule: str) -> Merged:
    neighbours = len(stack.updates) - assumed_bad - 2
    found = scores(squared_distances(stack), neighbours)
    order = np.argsort(found, kind="stable")  # of equal scores the site that is first by name
    apart = np.sqrt(found / neighbours)
    chosen, left_out = np.sort(order[:count]), order[count:]
    merged = stack.merge(lambda values: values[chosen].mean(axis=0, dtype=np.float64))
    return merged, {
        stack.sites[i]: f"left out by {rule}: its distance to the others is {apart[i]:.3g}, "
        f"the chosen {'one' if count == 1 else 'ones'}'s at most {apart[chosen].max():.3g}"
        for i in left_out
    }
