"""The network's last layer, fitted in one round on sums that the sites add up.

A site pushes down the classes that it lacks while it trains, and a class that few sites have is averaged away: the last
layer suffers from unlike sites more than all others. The layer that suits the features of all sites' pixels follows
from sums over them, exactly, and whoever has which pixels: it is linear discriminant analysis on the features of the
averaged network (Luo et al. 2021 calibrate with the same sums). Classes count alike, for pixels are labelled by choice
and not as often as classes occur.

k classes, d features of the last layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays, RejectedUpdate, Update
from models.wsa.networks import NETWORKS
from models.wsa.published import PREFIX, trained_rounds
from models.wsa.settings import Settings

_COUNTS: Final = PREFIX + "head.counts"  # (k,) float64: pixels of each class
_TOTALS: Final = PREFIX + "head.totals"  # (k, d) float64: sums of their features
_OUTER: Final = PREFIX + "head.outer"  # (d, d) float64: sum of all features' outer products
_SHRINKAGE: Final = 0.03  # of the covariance towards a ball: a class has few pixels
_NEVER: Final = -1e4  # logit of a class that no site has; within the range of float16

Floats = NDArray[np.float64]


def is_next(settings: Settings, previous: Arrays | None) -> bool:
    """Whether the round that starts from a global model fits the last layer instead of training."""
    after = settings.head_after
    return after is not None and previous is not None and trained_rounds(previous) >= after


def sums_of(features: Floats, labels: NDArray[np.int64], classes: int) -> dict[str, NDArray[np.generic]]:
    """What a site adds up of its pixels: features (n, d), classes (n,) from 0."""
    counts, totals = np.zeros(classes), np.zeros((classes, features.shape[1]))
    np.add.at(counts, labels, 1)
    np.add.at(totals, labels, features)
    return {_COUNTS: counts, _TOTALS: totals, _OUTER: features.T @ features}


def check(settings: Settings, previous: Arrays, arrays: Arrays) -> None:
    """Raises `RejectedUpdate` unless `arrays` are such sums for the network of the global model."""
    if fault := _fault(settings, previous, arrays):
        raise RejectedUpdate(fault)


def fitted(
    settings: Settings, previous: Arrays, updates: Iterable[Update]
) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """The global model with its last layer fitted; site -> why an update is left out.

    Raises:
        ValueError: no update holds sums, or all pixels have the same features.
    """
    received = sorted(updates, key=lambda update: update.site)
    faults = {update.site: _fault(settings, previous, update.arrays) for update in received}
    sums = [update.arrays for update in received if not faults[update.site]]
    if not sums:
        raise ValueError("there are no sums over features to fit the network's last layer on")
    counts, totals, outer = (
        sum(np.asarray(one[name], np.float64) for one in sums) for name in (_COUNTS, _TOTALS, _OUTER)
    )
    weight, bias = _discriminant(np.asarray(counts), np.asarray(totals), np.asarray(outer))
    layer = NETWORKS[settings.network].head
    made = {f"{layer}.weight": weight.astype(np.float32), f"{layer}.bias": bias.astype(np.float32)}
    return {**previous, **made}, {site: f"left out: {fault}" for site, fault in faults.items() if fault}


def _discriminant(counts: Floats, totals: Floats, outer: Floats) -> tuple[Floats, Floats]:
    """Weights (k, d) and bias (k,) of the linear discriminants."""
    known, pixels, width = counts > 0, counts.sum(), len(outer)
    means = totals[known] / counts[known, None]
    covariance = (outer - means.T @ totals[known]) / pixels
    size = float(np.trace(covariance)) / width
    if not size > 0:
        raise ValueError("all pixels of all sites have the same features, so the last layer cannot be fitted")
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * size * np.eye(width)
    # Around the mean of all: what all discriminants have in common changes no class, and would make them large.
    middle = totals.sum(axis=0) / pixels
    weight, bias = np.zeros_like(totals), np.full(len(counts), _NEVER)
    weight[known] = np.linalg.solve(covariance, (means - middle).T).T
    bias[known] = -(weight[known] * (means + middle)).sum(axis=1) / 2
    return weight, bias


def _fault(settings: Settings, previous: Arrays, arrays: Arrays) -> str:
    """Why tensors are no sums for the network of the global model; empty where they are."""
    classes, width = previous[f"{NETWORKS[settings.network].head}.weight"].shape
    wanted = {_COUNTS: (classes,), _TOTALS: (classes, width), _OUTER: (width, width)}
    if set(arrays) != set(wanted):
        return "it does not hold the sums over features that this round is for"
    for name, shape in wanted.items():
        array = arrays[name]
        if array.dtype != np.float64 or array.shape != shape:
            return f"the sums {name!r} are {array.dtype} of the shape {array.shape}, not float64 of the shape {shape}"
        if not np.isfinite(array).all():
            return f"the sums {name!r} hold NaN or infinity"
    counts = arrays[_COUNTS].astype(np.float64)
    return "" if (counts >= 0).all() and counts.any() else "it counts no pixels at all, or fewer than none of a class"
