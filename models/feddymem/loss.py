"""The metric loss: patches are drawn to the rows they belong to and kept from the next ones."""

from __future__ import annotations

import torch
from torch import Tensor

from models.feddymem.settings import Generator


def squared_distances(patches: Tensor, rows: Tensor) -> Tensor:
    """(n, m) squared distances between patches (n, d) and rows (m, d), at least 0 in spite of rounding."""
    lengths = patches.square().sum(1, keepdim=True) + rows.square().sum(1)
    return (lengths - 2 * patches @ rows.T).clamp(min=0)


def fixed_radius(patches: Tensor, rows: Tensor) -> float:
    """r^2: the median squared distance from a patch to its nearest row, before training.

    Half of the patches are inside at the start, so the loss has slack. A learnable radius that starts near 0 has
    none and shrinks everything.
    """
    return max(float(squared_distances(patches, rows).min(dim=1).values.median()), 1e-6)


def metric_loss(patches: Tensor, rows: Tensor, radius: float, settings: Generator) -> Tensor:
    """Mean over patches (n, d) of attraction to the K nearest rows (m, d) and repulsion from the J next.

    attraction = mean over the K nearest of max(0, D - r^2), repulsion = mean over the next J of
    max(0, (1 - margin) r^2 - D), with D squared distances; their sum is divided by r^2. The margin is a fraction of
    r^2: an absolute one is larger than r^2 itself on features of length 1, and the repulsion would be dead.
    """
    wanted = min(settings.attract + settings.repel, len(rows))
    nearest = squared_distances(patches, rows).topk(wanted, largest=False).values
    near, next_ones = nearest[:, : settings.attract], nearest[:, settings.attract :]
    loss = (near - radius).relu().mean()
    if next_ones.shape[1]:
        loss = loss + ((1 - settings.margin) * radius - next_ones).relu().mean()
    return loss / radius


def collapsed(before: Tensor, after: Tensor) -> bool:
    """Whether the generator squeezed patches (n, d) together: the mean channel deviation lost more than 5 percent.

    A constant has no distance to anything and would be the loss' best answer.
    """
    return not bool(torch.isfinite(after).all()) or float(after.std(0).mean()) < 0.95 * float(before.std(0).mean())
