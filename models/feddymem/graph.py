"""A detector as one network from pixels to raw scores, for export: all that a round changes is an input of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.features import PatchFeatures
from models.feddymem.generator import move
from models.feddymem.settings import Score
from models.scoring import hottest_patches


class ScoringGraph(nn.Module):
    """What `models.feddymem.scorer` does after `PatchFeatures`, with the memory and the site's generator as inputs.

    Control flow that depends on settings is decided here, once, and not in the graph.

    Args:
        features: of the job's backbone.
        score: the job's score settings.
        generator: whether the site has a generator; without one the graph has no inputs for it.
    """

    def __init__(self, features: PatchFeatures, score: Score, *, generator: bool) -> None:
        super().__init__()
        self.features = features
        self.generator = GeneratorStep(features.widths) if generator else None
        self.distance = NearestDistance()
        self.score = ImageScore(score)
        self.width = sum(features.widths)

    def forward(
        self,
        images: Tensor,
        rows: Tensor,
        scales: Tensor,
        generator_weight: Tensor | None = None,
        generator_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Raw scores (b,) and raw, unsmoothed maps (b, gh, gw), both float32.

        Args:
            images: (b, 3, s, s) float32 pixels from 0 to 255 in red, green, blue.
            rows: (m, d) float32, the memory bank.
            scales: (m,) float32, `models.scoring.cell_scales` of the rows or ones.
            generator_weight: (d, d) float32, W of the site's generator.
            generator_bias: (d,) float32.
        """
        features = self.features(images)
        batch, height, width, depth = features.shape
        patches = features.reshape(-1, depth)
        if self.generator is not None:
            patches = self.generator(patches, generator_weight, generator_bias)
        maps = self.distance(patches, rows, scales).reshape(batch, height, width)
        return self.score(maps), maps


class GeneratorStep(nn.Module):
    """The site's generator with its parameters as inputs."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self._widths = tuple(widths)

    def forward(self, patches: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(n, d), (d, d) and (d,) to (n, d), of length 1."""
        return move(patches, weight, bias, self._widths)


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
