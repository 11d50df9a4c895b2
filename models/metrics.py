"""How well scores tell normal from anomalous."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score


def auroc(scores: NDArray[np.floating], anomalous: NDArray[np.bool_]) -> float:
    """Area under the ROC curve in [0, 1]: the chance that an anomalous sample scores above a normal one.

    Args:
        scores: (n,) higher is more anomalous.
        anomalous: (n,) the truth.

    Raises:
        ValueError: only normal or only anomalous samples; the area is not defined.
    """
    if anomalous.all() or not anomalous.any():
        only = "anomalous" if anomalous.any() else "normal"
        raise ValueError(f"AUROC needs normal and anomalous samples; all {len(anomalous)} are {only}")
    return float(roc_auc_score(anomalous, scores))


def pixel_auroc(maps: NDArray[np.floating], masks: NDArray[np.bool_]) -> float:
    """AUROC over all pixels of all images: maps (b, h, w) against masks (b, h, w). Raises as `auroc` does."""
    if maps.shape != masks.shape:
        raise ValueError(f"maps of the shape {maps.shape} do not fit masks of the shape {masks.shape}")
    return auroc(maps.reshape(-1), masks.reshape(-1))
