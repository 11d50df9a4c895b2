"""A detector as one network from pixels to raw scores, for export: the memory bank is an input of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.features import PatchFeatures
from models.feddymem.generator import MemoryGenerator
from models.feddymem.settings import Score
from models.scoring import hottest_patches


class ScoringGraph(nn.Module):
    """What `models.feddymem.scorer` does after `PatchFeatures`, with the bank as an input: a new round needs no export.

    The site's generator is a constant of it: it belongs to the site, as the backbone does. Control flow that depends
    on settings is decided here, once, and not in the graph.

    Args:
        features: of the job's backbone.
        generator: of the site, or None.
        score: the job's score settings.
    """

    def __init__(self, features: PatchFeatures, generator: MemoryGenerator | None, score: Score) -> None:
        super().__init__()
        self.features = features
        self.generator = generator
        self.distance = NearestDistance()
        self.score = ImageScore(score)

    def forward(self, images: Tensor, rows: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        """Raw scores (b,) and raw, unsmoothed maps (b, gh, gw), both float32.

        Args:
            images: (b, 3, s, s) float32 pixels from 0 to 255 in red, green, blue.
            rows: (m, d) float32, the memory bank.
            scales: (m,) float32, `models.scoring.cell_scales` of the rows or ones.
        """
        features = self.features(images)
        batch, height, width, depth = features.shape
        patches = features.reshape(-1, depth)
        if self.generator is not None:
            patches = self.generator(patches)
        maps = self.distance(patches, rows, scales).reshape(batch, height, width)
        return self.score(maps), maps


class NearestDistance(nn.Module):
    """`models.scoring.nearest_distance` as one matrix product and one minimum: no tensor of (n, m, d) comes to be."""

    def forward(self, patches: Tensor, rows: Tensor, scales: Tensor) -> Tensor:
        """(n, d), (m, d) and (m,) to (n,); float32 whatever precision the backbone has, because it cancels."""
        # |x - m|^2 / s^2 = (|x|^2 + |m|^2 - 2 x m) / s^2, with |x|^2 and its weight as one more column each.
        weight = 1 / (scales * scales)
        table = torch.cat([-2 * weight[:, None] * rows, weight[:, None]], dim=1)
        extended = torch.cat([patches, (patches * patches).sum(1, keepdim=True)], dim=1)
        squares = torch.addmm(weight * (rows * rows).sum(1), extended, table.T)
        return squares.amin(1).clamp_min(0).sqrt()


class ImageScore(nn.Module):
    """`models.scoring.image_scores` as a part of the graph."""

    def __init__(self, score: Score) -> None:
        super().__init__()
        self._rule = score.rule
        self._self_normalise = score.self_normalise

    def forward(self, maps: Tensor) -> Tensor:
        """(b, gh, gw) to (b,)."""
        patches = maps.shape[1] * maps.shape[2]
        flat = maps.reshape(-1, patches)
        scores = flat.topk(hottest_patches(self._rule, patches), dim=1).values.mean(1)
        if self._self_normalise:
            scores = scores / flat.mean(1).clamp_min(1e-6) ** 0.25
        return scores
