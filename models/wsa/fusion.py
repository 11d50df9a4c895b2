"""One scope of several models', and how far theirs lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from models.wsa.scope import Floats, Scopes

Fusion = Literal["mean", "variance", "mixture"]


def fuse(models: Sequence[Scopes], weights: Sequence[float], how: Fusion) -> Scopes:
    """The scopes that n models are to share.

    Args:
        models: with the same tensors, at least one.
        weights: (n,) above 0; only their proportions count.
        how: "mean" averages means and deviations, "variance" means and variances, "mixture" is what all weights of
            all models together have: the variances and how far the means lie apart.
    """
    shares = (np.asarray(weights, np.float64) / np.sum(weights, dtype=np.float64))[:, None]
    means, deviations = _stacked(models)
    mean = (shares * means).sum(axis=0)
    if how == "mean":
        return Scopes(models[0].names, mean, (shares * deviations).sum(axis=0))
    variance = (shares * deviations**2).sum(axis=0)
    if how == "mixture":
        variance += (shares * (means - mean) ** 2).sum(axis=0)
    return Scopes(models[0].names, mean, np.sqrt(variance))


def middle(models: Sequence[Scopes]) -> Scopes:
    """The medians of means and deviations: no minority of the models moves them far, whatever it sends."""
    means, deviations = _stacked(models)
    return Scopes(models[0].names, np.median(means, axis=0), np.median(deviations, axis=0))


def spread(models: Sequence[Scopes]) -> Floats:
    """(l,) how far each layer's deviations lie apart: their standard deviation over the models, relative to their mean.

    0 where all agree, and for a layer that is constant in every model.
    """
    _, deviations = _stacked(models)
    mean = deviations.mean(axis=0)
    found: Floats = np.divide(deviations.std(axis=0), mean, out=np.zeros_like(mean), where=mean > 0)
    return found


def apart(model: Scopes, others: Scopes) -> float:
    """How far a model's deviations lie from those of `others`, relative, the mean over the layers."""
    known = others.deviations > 0
    if not known.any():
        return 0.0
    return float(np.abs(model.deviations[known] / others.deviations[known] - 1).mean())


def _stacked(models: Sequence[Scopes]) -> tuple[Floats, Floats]:
    return np.stack([model.means for model in models]), np.stack([model.deviations for model in models])
