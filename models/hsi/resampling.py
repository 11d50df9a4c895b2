"""Brings the bands of one camera to the wavelengths of another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def resampling(own: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.float32]:
    """The weights (b, w) that make `spectra (..., b) @ weights` the spectra at the wanted wavelengths.

    Linear between neighbouring bands where the wanted ones are as dense; where they are sparser, a triangle as wide as
    their distance, so that what falls between them is counted too.

    Args:
        own: (b,) centres of the camera's bands in nanometres, in any order.
        wanted: (w,) in nanometres.

    Raises:
        ValueError: the camera sees nothing near a wanted wavelength; every such one is named.
    """
    # Where two spectrometers of a camera overlap, two bands may have the same centre: the first one counts.
    centres, kept = np.unique(own.astype(np.float64), return_index=True)
    targets = wanted.astype(np.float64)
    if len(centres) < 2 or not np.isfinite(centres).all():
        raise ValueError("bands can be resampled only where there are two or more, at different wavelengths")
    own_step, wanted_steps = float(np.median(np.diff(centres))), _steps(targets)
    gaps = np.abs(targets[:, None] - centres).min(axis=1)
    if (unseen := gaps > own_step).any():
        shown = ", ".join(f"{value:g}" for value in targets[unseen][:8])
        raise ValueError(
            f"this camera sees {centres[0]:g} to {centres[-1]:g} nm and nothing near {unseen.sum()} of the job's"
            f" {len(targets)} wavelengths: {shown} nm"
        )
    weights = np.stack([np.interp(targets, centres, band) for band in np.eye(len(centres))])
    for index in np.flatnonzero(wanted_steps > 1.5 * own_step):
        triangle = np.clip(1 - np.abs(centres - targets[index]) / wanted_steps[index], 0, None)
        weights[:, index] = triangle / triangle.sum()
    back = np.zeros((len(own), len(targets)), np.float32)
    back[kept] = weights
    return back


def _steps(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far apart the wanted wavelengths lie around each of them; 0 for a single one."""
    if len(targets) < 2:
        return np.zeros(len(targets))
    order = np.argsort(targets)
    steps = np.empty(len(targets))
    steps[order] = np.abs(np.gradient(targets[order]))
    return steps
