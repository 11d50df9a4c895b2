"""From patch features to anomaly scores. Letters: b images, n patches, m rows, d features, (gh, gw) the patch grid."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from models.kmeans import assign

Rule = Literal["max", "top1%", "top3%"]

_SHARE: dict[Rule, float] = {"max": 0.0, "top1%": 0.01, "top3%": 0.03}
_SMOOTHING = 0.7  # Gaussian sigma in patches


def nearest_distance(patches: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean distance (n,) of each patch (n, d) to its nearest row (m, d); memory does not grow with n."""
    return np.sqrt(assign(patches, rows)[1])


def image_scores(maps: NDArray[np.float32], rule: Rule) -> NDArray[np.float32]:
    """One score per image (b,): the highest of its map (b, gh, gw), or the mean of its highest 1 or 3 percent."""
    flat = maps.reshape(len(maps), -1)
    top = max(1, round(_SHARE[rule] * flat.shape[1]))
    highest: NDArray[np.float32] = np.partition(flat, flat.shape[1] - top, axis=1)[:, -top:].mean(axis=1)
    return highest


def smooth_maps(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maps (b, gh, gw) with the noise between neighbouring patches evened out, for showing and pixel scores."""
    smoothed: NDArray[np.float32] = gaussian_filter(maps, sigma=(0, _SMOOTHING, _SMOOTHING))
    return smoothed
