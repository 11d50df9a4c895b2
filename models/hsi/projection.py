"""PCA of spectra, from the sums over training pixels: by variance, or by how far variance is above noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.hsi.moments import BandSums
from models.method import Arrays

Scale = Literal["whiten", "range"]
"""How components are scaled: to unit variance each, or all by the range of the cube's values, as the paper has it."""

_RANK = 1e-10  # of the greatest variance; below it a direction is rounding
_LEAST_NOISE = 1e-6  # of the bands' mean noise: no direction is taken to be free of it


@dataclass(frozen=True, eq=False)
class Projection:
    """Spectra (..., b) to components (..., c).

    Attributes:
        mean: (b,) float32.
        matrix: (b, c) float32, scaled.
        explained: share of the variance that the components hold, in (0, 1]; of that in units of noise, if so fitted.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]
    explained: float

    def apply(self, spectra: NDArray[np.generic], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """The components (..., c) of spectra (..., b) of integers or floats, in the unit that was fitted.

        Args:
            spectra: they may lie in a mapped file; of a cube one row is computed at a time.
            valid: (...), or None where all are; the components of others are 0, those of the mean spectrum.

        Raises:
            ValueError: other bands than those fitted.
        """
        bands = len(self.mean)
        if spectra.shape[-1] != bands:
            transposed = "; is the cube transposed? Its bands come last" if bands in spectra.shape[:-1] else ""
            raise ValueError(f"the PCA was fitted on {bands} bands, and the cube has {spectra.shape[-1]}{transposed}")
        components = np.empty((*spectra.shape[:-1], self.matrix.shape[1]), np.float32)
        # Row by row, a part of a cube gives the same bits as the whole.
        for row in np.ndindex(spectra.shape[:1] if spectra.ndim > 2 else ()):
            components[row] = (spectra[row].astype(np.float32) - self.mean) @ self.matrix
        if valid is not None:
            components[~valid] = 0
        return components


def fit(sums: BandSums, components: int, scale: Scale = "whiten") -> Projection:
    """The principal components of the pixels behind the sums; each one's largest weight is positive.

    Raises:
        ValueError: the pixels do not span so many components.
    """
    return _fit(sums, components, np.eye(len(sums.total)), None if scale == "whiten" else sums.high - sums.low)


def fit_against_noise(sums: BandSums, noise: BandSums, components: int) -> Projection:
    """The components of most signal for their noise, in units of it (minimum noise fraction, noise-adjusted PCA).

    Whitened principal components weigh what the eye sees and what the sensor adds alike; these keep apart fields whose
    spectra differ in faint bands, and leave the noise small.

    Args:
        sums: over the training pixels.
        noise: over `neighbours.differences` of the same bands.
        components: c.

    Raises:
        ValueError: the pixels do not span so many components, or the noise is of other bands.
    """
    if noise.total.shape != sums.total.shape:
        raise ValueError(f"noise of {len(noise.total)} bands says nothing of pixels of {len(sums.total)}")
    # A difference has the noise of two pixels. Where there is none at all, nothing is divided by it.
    variances, axes = np.linalg.eigh(noise.outer / (2 * noise.count))
    least = _LEAST_NOISE * variances.mean() or 1.0
    return _fit(sums, components, axes / np.sqrt(np.maximum(variances, least)), 1.0)


def _fit(sums: BandSums, components: int, units: NDArray[np.float64], scale: float | None) -> Projection:
    """The components of spectra times `units` (b, b), divided by `scale` or by each one's own deviation."""
    mean = sums.total / sums.count
    covariance = (sums.outer - np.outer(sums.total, mean)) / max(sums.count - 1, 1)
    covariance = units.T @ covariance @ units
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1], units @ axes[:, ::-1]
    rank = int((variances > _RANK * max(variances[0], 0)).sum())
    if not 1 <= components <= min(rank, sums.count - 1):
        raise ValueError(
            f"{sums.count} training pixels of {len(mean)} bands span {min(rank, sums.count - 1)} principal components,"
            f" not {components}; label more pixels or ask for fewer components"
        )
    kept = axes[:, :components]
    kept = kept * np.sign(np.take_along_axis(kept, np.abs(kept).argmax(axis=0)[None], axis=0))
    scales = np.sqrt(variances[:components]) if scale is None else scale
    explained = float(variances[:components].sum() / np.trace(covariance))
    return Projection(mean.astype(np.float32), (kept / scales).astype(np.float32), min(explained, 1.0))


def to_arrays(projection: Projection) -> dict[str, NDArray[np.generic]]:
    """The projection as it is kept with a model."""
    return {"mean": projection.mean, "matrix": projection.matrix, "explained": np.array([projection.explained])}


def from_arrays(arrays: Arrays) -> Projection:
    """The projection in tensors. Raises `ValueError` where they are none."""
    try:
        mean, matrix = arrays["mean"].astype(np.float32), arrays["matrix"].astype(np.float32)
        explained = float(arrays["explained"].astype(np.float64).item())
    except KeyError as error:
        raise ValueError(f"a projection needs the tensor {error}") from error
    if mean.ndim != 1 or matrix.shape[:1] != mean.shape or not (np.isfinite(mean).all() and np.isfinite(matrix).all()):
        raise ValueError(f"a mean {mean.shape} and a matrix {matrix.shape} are no projection, or are not finite")
    return Projection(mean, matrix, explained)
