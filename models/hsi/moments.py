"""Sums over pixels from which mean and covariance of the bands follow; sites add theirs and get those of all pixels.

b is the number of bands, n the number of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays

_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class BandSums:
    """Additive: the sum over two sets of pixels is the sum of their `BandSums`.

    Sums of whole numbers (a camera's uint16 counts) are exact up to 2 ** 53, so it does not matter in which order or
    at which site they were made: the result is the same bit for bit. Sums of floats agree to float64's rounding.

    Attributes:
        count: n, at least 1.
        total: (b,) float64, sum of the spectra.
        outer: (b, b) float64, sum of the spectra's outer products.
        low: the least value of all, in the cube's unit.
        high: the greatest.
    """

    count: int
    total: NDArray[np.float64]
    outer: NDArray[np.float64]
    low: float
    high: float

    def __post_init__(self) -> None:
        bands = self.total.shape
        if len(bands) != 1 or self.outer.shape != bands * 2 or self.count < 1:
            raise ValueError(f"sums over {self.count} pixels have the shapes {bands} and {self.outer.shape}")
        if not (np.isfinite(self.total).all() and np.isfinite(self.outer).all() and -np.inf < self.low <= self.high):
            raise ValueError("the sums over the training pixels hold NaN or infinity")

    def __add__(self, other: BandSums) -> BandSums:
        """Raises `ValueError` where the other has other bands."""
        if self.total.shape != other.total.shape:
            raise ValueError(f"sums over {len(self.total)} bands cannot be added to sums over {len(other.total)}")
        return BandSums(
            self.count + other.count,
            self.total + other.total,
            self.outer + other.outer,
            min(self.low, other.low),
            max(self.high, other.high),
        )


def band_sums(spectra: NDArray[np.generic]) -> BandSums:
    """The sums over spectra (n, b) of integers or floats. Raises `ValueError` without a pixel, or with NaN."""
    if spectra.ndim != 2 or 0 in spectra.shape:
        raise ValueError(f"sums need spectra of the shape (pixels, bands); these are {spectra.shape}")
    total = np.zeros(spectra.shape[1])
    outer = np.zeros((spectra.shape[1],) * 2)
    for start in range(0, len(spectra), _AT_ONCE):
        # Products of uint16 do not fit uint16: everything is summed as float64.
        part = spectra[start : start + _AT_ONCE].astype(np.float64)
        total += part.sum(axis=0)
        outer += part.T @ part
    return BandSums(len(spectra), total, outer, float(spectra.min()), float(spectra.max()))


def to_arrays(sums: BandSums) -> dict[str, NDArray[np.generic]]:
    """The sums as they travel."""
    count, bounds = np.array([sums.count], np.int64), np.array([sums.low, sums.high])
    return {"count": count, "total": sums.total, "outer": sums.outer, "bounds": bounds}


def from_arrays(arrays: Arrays) -> BandSums:
    """The sums in tensors that came over the wire. Raises `ValueError` where they are none."""
    wanted = {"count": (np.int64, 1), "total": (np.float64, 1), "outer": (np.float64, 2), "bounds": (np.float64, 1)}
    if set(arrays) != set(wanted):
        raise ValueError(f"sums over pixels hold {', '.join(sorted(wanted))}, not {', '.join(sorted(arrays))[:200]}")
    for name, (dtype, axes) in wanted.items():
        if arrays[name].dtype != dtype or arrays[name].ndim != axes:
            raise ValueError(f"the tensor {name!r} is {arrays[name].dtype} of the shape {arrays[name].shape}")
    count, bounds = arrays["count"], arrays["bounds"]
    if count.shape != (1,) or bounds.shape != (2,):
        raise ValueError(f"count and bounds have the shapes {count.shape} and {bounds.shape}, not (1,) and (2,)")
    total, outer = arrays["total"].astype(np.float64), arrays["outer"].astype(np.float64)
    return BandSums(int(count.item()), total, outer, *(float(bound) for bound in bounds.astype(np.float64)))
