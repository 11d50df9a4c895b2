"""From patch features to anomaly scores. Letters: b images, n patches, m rows, d features, (gh, gw) the patch grid."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["max", "top1%", "top3%"]

_SHARE: dict[Rule, float] = {"max": 0.0, "top1%": 0.01, "top3%": 0.03}
_SMOOTHING = 0.7  # Gaussian sigma in patches
_CHUNK = 2048  # patches of one product: its (chunk, m) result stays in the cache while it is searched


def nearest_distance(
    patches: NDArray[np.float32], rows: NDArray[np.float32], scales: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Distance (n,) of each patch (n, d) to the row (m, d) that is nearest when row i's is divided by scales (m,)_i.

    Memory does not grow with n.
    """
    # |x - m|^2 / s^2 = (|x|^2 + |m|^2 - 2 x m) / s^2 is one product of extended vectors.
    weight = (1 / np.square(scales))[:, None]
    table = np.hstack([-2 * weight * rows, weight, weight * np.square(rows).sum(1, keepdims=True)]).T.copy()
    distances = np.empty(len(patches), np.float32)
    for start in range(0, len(patches), _CHUNK):
        part = patches[start : start + _CHUNK]
        extended = np.hstack([part, np.square(part).sum(1, keepdims=True), np.ones((len(part), 1), np.float32)])
        distances[start : start + _CHUNK] = (extended @ table).min(axis=1)
    return np.sqrt(np.maximum(distances, 0))


def cell_scales(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """How wide each row's cell is, (m,) around 1, from the rows (m, d) alone.

    Patches have length 1, so a row m that is a mean of patches says by itself how far they lie from it: their
    variance is v = 1 - |m|^2, also after memory-reduce and k-means. Half of the mean variance is added, so that a
    row of a few patches does not claim to know its cell to the hair.
    """
    variance = np.maximum(1 - np.square(rows).sum(axis=1), 0)
    mean = max(float(variance.mean()), 1e-6)
    scales: NDArray[np.float32] = ((variance + 0.5 * mean) / (1.5 * mean)) ** np.float32(0.25)
    return scales


def image_scores(maps: NDArray[np.float32], rule: Rule, *, self_normalise: bool) -> NDArray[np.float32]:
    """One score per image (b,): the highest of its map (b, gh, gw), or the mean of its highest 1 or 3 percent.

    Self-normalised, it is divided by the fourth root of the map's mean: a product whose every patch lies far from
    the memory is then not taken for defective.
    """
    flat = maps.reshape(len(maps), -1)
    top = hottest_patches(rule, flat.shape[1])
    highest: NDArray[np.float32] = np.partition(flat, flat.shape[1] - top, axis=1)[:, -top:].mean(axis=1)
    if self_normalise:
        highest = highest / np.maximum(flat.mean(axis=1), 1e-6) ** np.float32(0.25)
    return highest


def hottest_patches(rule: Rule, patches: int) -> int:
    """How many of a map's patches a rule takes the mean of."""
    return max(1, round(_SHARE[rule] * patches))


def smooth_maps(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maps (b, gh, gw) with the noise between neighbouring patches evened out, for showing and pixel scores."""
    down, across = (_smoothing(side) for side in maps.shape[1:])
    return np.asarray(down @ maps @ across.T, np.float32)


@lru_cache
def _smoothing(side: int) -> NDArray[np.float32]:
    """A Gaussian filter along one side as a matrix (side, side): for maps of some 28 patches it takes a tenth."""
    # Imported where it is used: a coordinator reads the settings of this module's rules and smooths nothing.
    from scipy.ndimage import gaussian_filter1d

    matrix = gaussian_filter1d(np.eye(side), sigma=_SMOOTHING, axis=0)
    return np.asarray(matrix, np.float32)
