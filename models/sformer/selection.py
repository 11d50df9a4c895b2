"""Token selection: a query keeps the tokens with the highest scores and forgets the others.

The kept ones are found by the k-th highest score of each row alone. Which tokens are kept needs no gradient, so a plain
sort may find it: NumPy's vectorised sort takes a tenth of the time of `torch.topk` for rows of a hundred scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_BELOW_ZERO = -1e-38  # the least normal float32: x > this is x >= 0
_STEPS = 12


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
    weights: Tensor = _SelectedSoftmax.apply(scores, keep)
    return weights


class _SelectedSoftmax(torch.autograd.Function):
    """One pass less for each step that would otherwise be kept for the gradient: this is where the time goes."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, keep: int) -> Tensor:
        ctx.mark_dirty(scores)
        # Softmax does not change when a row is shifted, and the shifted row tells the kept by their sign.
        scores.sub_(kth_highest(scores, keep))
        functional.threshold_(scores, _BELOW_ZERO, -torch.inf)
        torch.softmax(scores, dim=-1, out=scores)
        ctx.save_for_backward(scores)
        return scores

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        return torch._softmax_backward_data(gradients[0], weights, -1, weights.dtype), None
