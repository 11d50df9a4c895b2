"""The weighted mean of tensors, one update at a time: memory is two models however many sites there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.method import Aggregated, Arrays, Declaration, RejectedUpdate, Update

_CHUNK = 1 << 18  # elements worked on at once: the products stay in the cache and need no second model
_DTYPES = (np.float16, np.float32)


def check(settings: Any, declaration: Declaration, previous: Arrays | None, arrays: Arrays) -> None:
    """Raises `RejectedUpdate` unless `arrays` are finite float16 or float32 tensors, at least one."""
    del settings, declaration, previous
    if not arrays:
        raise RejectedUpdate("the update holds no tensor")
    for name in sorted(arrays):
        array = arrays[name]
        if array.dtype not in _DTYPES:
            raise RejectedUpdate(f"the tensor {name!r} is {array.dtype}; float16 and float32 can be averaged")
        flat = array.reshape(-1)
        bad = sum(int((~np.isfinite(flat[i : i + _CHUNK])).sum()) for i in range(0, flat.size, _CHUNK))
        if bad:
            raise RejectedUpdate(f"the tensor {name!r} holds {bad} of {array.size} values that are not finite")


def aggregate(settings: Any, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    """The mean of all updates, each counted by its weight, in their own dtype; summed up in float32.

    Raises:
        RejectedUpdate: an update has other tensors, shapes or types than the first, or a weight of 0 or less.
        ValueError: no updates.
    """
    del settings, previous, seed
    total = 0.0
    means: dict[str, NDArray[np.float32]] = {}
    dtypes: dict[str, np.dtype[Any]] = {}
    for update in updates:
        if not update.weight > 0:
            raise RejectedUpdate(f"{update.site}: the weight {update.weight} is not more than 0")
        weight = update.weight * update.discount
        total += weight
        if not means:
            for name, array in update.arrays.items():
                means[name], dtypes[name] = array.astype(np.float32), array.dtype
                del array  # or it would live on while the next one is read
            continue
        if odd := set(update.arrays) ^ set(means):
            raise RejectedUpdate(f"{update.site}: the tensors {', '.join(sorted(odd)[:5])} are not in every update")
        for name, mean in means.items():
            array = update.arrays[name]  # may be read from a file each time it is looked up
            _check_same(update.site, name, array, mean, dtypes[name])
            _move(mean.reshape(-1), array.reshape(-1), weight / total)
            del array
    if not means:
        raise ValueError("there is no update to average")
    return Aggregated({name: mean.astype(dtypes[name], copy=False) for name, mean in means.items()})


def _move(mean: NDArray[np.float32], towards: NDArray[np.generic], share: float) -> None:
    """`mean += share * (towards - mean)` in place."""
    for i in range(0, mean.size, _CHUNK):
        part = mean[i : i + _CHUNK]
        part += np.float32(share) * (towards[i : i + _CHUNK].astype(np.float32, copy=False) - part)


def _check_same(
    site: str, name: str, array: NDArray[np.generic], mean: NDArray[np.float32], dtype: np.dtype[Any]
) -> None:
    if array.shape != mean.shape or array.dtype != dtype:
        raise RejectedUpdate(f"{site}: the tensor {name!r} is {array.dtype} {array.shape}, others {dtype} {mean.shape}")
