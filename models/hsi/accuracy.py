"""How well predicted classes meet the truth: OA, AA, kappa, and each class's own accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Accuracy:
    """Of n test pixels; shares in [0, 1].

    Attributes:
        oa: overall accuracy, the share of test pixels that are right.
        aa: average accuracy, the mean over the classes that have test pixels.
        kappa: Cohen's, agreement beyond chance, at most 1.
        per_class: class name -> share of its test pixels that are right, None where it has none.
        pixels: class name -> how many test pixels it has.
    """

    oa: float
    aa: float
    kappa: float
    per_class: Mapping[str, float | None]
    pixels: Mapping[str, int]


def confusion(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], class_names: tuple[str, ...]
) -> NDArray[np.int64]:
    """Counts (k, k) of pixels by true class (rows) and predicted class; classes have the numbers 1 to k.

    Raises:
        ValueError: unequal shapes, no pixel, or a number that is no class.
    """
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(f"{predicted.shape} predicted classes do not fit {truth.shape} true ones")
    k = len(class_names)
    for values, what in ((truth, "true"), (predicted, "predicted")):
        if values.min() < 1 or values.max() > k:
            raise ValueError(f"{what} classes lie from {values.min()} to {values.max()}, not from 1 to {k}")
    # Wide integers: labels of 8 bits would overflow in the product.
    cells = (truth.astype(np.int64).ravel() - 1) * k + predicted.astype(np.int64).ravel() - 1
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def accuracy(truth: NDArray[np.integer], predicted: NDArray[np.integer], class_names: tuple[str, ...]) -> Accuracy:
    """Measures predicted classes (n,) against the truth (n,). Raises `ValueError` as `confusion`."""
    counts = confusion(truth, predicted, class_names).astype(np.float64)
    n, right, true = counts.sum(), np.diag(counts), counts.sum(axis=1)
    oa = right.sum() / n
    by_chance = float(true @ counts.sum(axis=0)) / n**2
    # Where truth and prediction are one and the same class everywhere, chance agrees as well.
    kappa = (oa - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0
    recalls = {
        name: float(hits / of_class) if of_class else None
        for name, hits, of_class in zip(class_names, right, true, strict=True)
    }
    tested = [recall for recall in recalls.values() if recall is not None]
    pixels = {name: int(of_class) for name, of_class in zip(class_names, true, strict=True)}
    return Accuracy(float(oa), float(np.mean(tested)), float(kappa), recalls, pixels)
