"""One model of several finished ones, without data.

The mean of models that do not agree has smaller weights than any of them, and so weaker signals. WSA's merge is the
mean with every layer shifted and stretched back to the fused scope. To stretch the models before they are averaged
does harm where one of them made a layer small on purpose, as weight decay does; see docs/wsa.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.fedavg.check import unlike
from models.fedavg.mean import weighted_mean
from models.method import Arrays, Update
from models.wsa.fusion import fuse
from models.wsa.scope import Scopes, scopes_of

How = Literal["mean", "wsa"]
Weights = dict[str, NDArray[np.generic]]


def merge(models: Sequence[Arrays], shares: Sequence[float], how: How) -> Weights:
    """The models' mean by their shares, above 0; with "wsa" in their fused scope.

    Raises:
        ValueError: a model has other tensors than the first.
    """
    for number, model in enumerate(models[1:], start=2):
        if fault := unlike(model, models[0], "the first model"):
            raise ValueError(f"model {number} is of another network: {fault}")
    pairs = enumerate(zip(models, shares, strict=True))
    mean = weighted_mean(Update(str(number), share, model) for number, (model, share) in pairs)
    return mean if how == "mean" else aligned(mean, fuse([scopes_of(model) for model in models], shares, "mean"))


def between(one: Arrays, other: Arrays, share: float, how: How) -> Weights:
    """The merge on the way from `one`, at share 0, to `other`, at share 1; at the ends these themselves."""
    if share in (0, 1):
        return dict(other if share else one)
    return merge([one, other], [1 - share, share], how)


def aligned(model: Arrays, target: Scopes) -> Weights:
    """A model with each layer shifted and stretched to the target's scope; a layer that is constant stays."""
    own, moved = scopes_of(model), dict(model)
    for index, name in enumerate(own.names):
        if own.deviations[index] > 0:
            stretch = target.deviations[index] / own.deviations[index]
            centred = model[name].astype(np.float64) - own.means[index]
            moved[name] = (target.means[index] + stretch * centred).astype(model[name].dtype)
    return moved


def barrier(losses: NDArray[np.float64]) -> float:
    """How far losses at equal steps along the way rise above the straight line between the first and the last."""
    line = np.linspace(losses[0], losses[-1], len(losses))
    return float((losses - line).max())
