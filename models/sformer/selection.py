"""Token selection: a query keeps the tokens with the highest scores and forgets the others.

The kept ones are found by the k-th highest score of each row alone. Which tokens are kept needs no gradient, so a plain
sort may find it: NumPy's vectorised sort takes a tenth of the time of `torch.topk` for rows of a hundred scores.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_BELOW_ZERO = -1e-38  # the least normal float32: x > this is x >= 0
_COUNTS = 5
_FAR = 1e30  # below the border, so that nothing is left of a score in a softmax


def kth_highest(scores: Tensor, keep: int) -> Tensor:
    """The keep-th highest of each row of scores (..., n), as (..., 1)."""
    rank = scores.shape[-1] - keep
    if scores.device.type == "cpu" and scores.dtype == torch.float32:
        ordered = np.sort(scores.detach().numpy(), axis=-1)
        return torch.from_numpy(ordered[..., rank : rank + 1].copy())
    # The fewer that are looked for the faster; the lowest of the kept is the highest of all lower ones and itself.
    return scores.detach().topk(rank + 1, dim=-1, largest=False).values[..., -1:]


def selected_softmax(scores: Tensor, keep: int) -> Tensor:
    """The softmax over the `keep` highest of each row of scores (..., n); all others weigh 0.

    Equal scores at the border are all kept. The scores are overwritten.
    """
    if keep >= scores.shape[-1]:
        return scores.softmax(dim=-1)
    weights: Tensor = _SelectedSoftmax.apply(scores, keep)  # type: ignore[no-untyped-call]
    return weights


class _SelectedSoftmax(torch.autograd.Function):
    """One pass less for each step that would otherwise be kept for the gradient: this is where the time goes."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, keep: int) -> Tensor:
        # Softmax does not change when a row is shifted, and the shifted row tells the kept by their sign.
        scores.sub_(kth_highest(scores, keep))
        functional.threshold(scores, _BELOW_ZERO, -torch.inf, inplace=True)
        weights = scores.softmax(dim=-1)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return torch._softmax_backward_data(gradients[0], weights, -1, weights.dtype), None


def searched_softmax(scores: Tensor, keep: int) -> Tensor:
    """`selected_softmax` where a sort is slow and a top-k too, as in ONNX Runtime on a CPU.

    The border between kept and forgotten scores is searched for by counting the scores above it, each time where the
    counts so far put it. One row in four ends with a score or two more than `keep`: those nearest to the border.
    """
    count = scores.shape[-1]
    if keep >= count:
        return scores.softmax(dim=-1)
    low, high = scores.amin(dim=-1), scores.amax(dim=-1)
    # How many scores reach them. The highest one counts as just above all, so that the two always differ.
    reach_low, reach_high = torch.full_like(low, count), torch.zeros_like(high)
    # Where the border would be among normally distributed scores of this range, and how far apart these lie there.
    normal = NormalDist()
    place, deviation = normal.inv_cdf(1 - keep / count), (high - low) / (2 * normal.inv_cdf(1 - 0.5 / count))
    border, spacing = scores.mean(dim=-1) + place * deviation, deviation / (count * normal.pdf(place))
    for step in range(_COUNTS):
        reach = (scores >= border[..., None]).to(scores.dtype).sum(dim=-1)
        # 1 where enough scores reach the border, which then is the new low end, and 0 where it is the high one. This
        # arithmetic takes a fraction of the time of a choice by condition.
        enough = (reach - (keep - 1)).clamp(0.0, 1.0)
        low, reach_low = low + enough * (border - low), reach_low + enough * (reach - reach_low)
        high, reach_high = border + enough * (high - border), reach + enough * (reach_high - reach)
        if step == 0:  # a little too far, so that the border lies between the two
            border = border + (reach - keep + 2 * enough - 1) * spacing
        else:  # between 0.1 and 0.9, lest one of the ends never moves
            border = low + (high - low) * ((reach_low - keep) / (reach_low - reach_high)).clamp(0.1, 0.9)
    forgotten = (scores < low[..., None]).to(scores.dtype)
    return (scores - forgotten * _FAR).softmax(dim=-1)
