"""The metric loss: a site's patches are drawn to the rows they belong to, and the rows stay where they are."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_MOVED = 0.08  # of a length of 1, on average over the rows
_LEAST_SPREAD = 0.85  # of the patches' spread before


def squared_distances(patches: Tensor, rows: Tensor) -> Tensor:
    """(n, m) squared distances between patches (n, d) and rows (m, d), at least 0 in spite of rounding."""
    lengths = patches.square().sum(1, keepdim=True) + rows.square().sum(1)
    return (lengths - 2 * patches @ rows.T).clamp(min=0)


def fixed_radius(patches: Tensor, rows: Tensor) -> float:
    """r^2: the median squared distance from a patch, as the backbone gives it, to its nearest row.

    Half of the patches are inside at the start, so the loss has slack. A learnable radius that starts near 0 has
    none and shrinks everything.
    """
    return max(float(squared_distances(patches, rows).min(dim=1).values.median()), 1e-6)


def metric_loss(
    patches: Tensor, rows: Tensor, moved_rows: Tensor, radius: float, *, attract: int, anchor: float
) -> Tensor:
    """(attraction + anchor * anchoring) / r^2.

    Attraction is the mean of max(0, D - r^2) over the squared distances D of generated patches (n, d) to their
    `attract` nearest rows (m, d). Anchoring, the mean squared way from rows to `moved_rows` (m, d), which are the
    rows through the generator, takes the place of a repulsion: squeezing everything together is not free, and
    products of other sites, which this site has no patches of, keep their distances.
    """
    nearest = squared_distances(patches, rows).topk(min(attract, len(rows)), largest=False).values
    anchoring = (moved_rows - rows).square().sum(1).mean()
    return ((nearest - radius).relu().mean() + anchor * anchoring) / radius


def went_astray(before: Tensor, after: Tensor, rows: Tensor, moved_rows: Tensor) -> bool:
    """Whether a trained generator must not be used.

    It must move the common rows (m, d) little, or this site would judge all other products wrongly, and it must not
    squeeze the patches (n, d) of its own product together, which is the loss' cheapest answer.
    """
    if not bool(torch.isfinite(after).all()):
        return True
    moved = float((moved_rows - rows).norm(dim=1).mean())
    spread = float(after.std(0).mean()) / max(float(before.std(0).mean()), 1e-6)
    return moved > _MOST_MOVED or spread < _LEAST_SPREAD
