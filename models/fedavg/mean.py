"""The weighted mean of tensors, one update at a time: memory is two models however many sites there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.method import Update

_CHUNK = 1 << 18  # elements worked on at once: the products stay in the cache and need no second model


def weighted_mean(updates: Iterable[Update]) -> dict[str, NDArray[np.generic]]:
    """The mean of updates with the same tensors, at least one, in their own dtype; summed up in float32.

    An update counts by its weight times its discount.
    """
    total = 0.0
    means: dict[str, NDArray[np.float32]] = {}
    dtypes: dict[str, np.dtype[Any]] = {}
    for update in updates:
        weight = update.weight * update.discount
        total += weight
        if not means:
            for name, array in update.arrays.items():
                means[name], dtypes[name] = array.astype(np.float32), array.dtype
                del array  # or it would live on while the next one is read
            continue
        for name, mean in means.items():
            array = update.arrays[name]  # may be read from a file each time it is looked up
            _move(mean.reshape(-1), array.reshape(-1), weight / total)
            del array
    return {name: mean.astype(dtypes[name], copy=False) for name, mean in means.items()}


def _move(mean: NDArray[np.float32], towards: NDArray[np.generic], share: float) -> None:
    """`mean += share * (towards - mean)` in place."""
    for i in range(0, mean.size, _CHUNK):
        part = mean[i : i + _CHUNK]
        part += np.float32(share) * (towards[i : i + _CHUNK].astype(np.float32, copy=False) - part)
