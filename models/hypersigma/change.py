"""Change between two hyperspectral cubes of the same place."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import SpatialViT
from models.hypersigma.spectral import SpectralViT
from models.hypersigma.unused import carry

_TOKENS, _HIDDEN, _CHANNELS = 144, 32, 64


class DoubleConvolution(nn.Module):
    """Two convolutions, each with batch normalisation; rows and columns stay."""

    def __init__(self, inputs: int, middle: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, middle, kernel, padding=kernel // 2), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU(),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """(b, inputs, h, w) to (b, outputs, h, w)."""
        result: Tensor = self.double_conv(features)
        return result


class ChangeDetector(nn.Module):
    """Whether the middle pixel of a place changed between two dates; both go through the same branches.

    Args:
        size: of both transformers.
        window: the cubes; its grid of patches must be 5 x 5 or 7 x 7.
        complete: whether to carry what the official network has and does not use.

    Raises:
        ValueError: another grid.
    """

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        super().__init__()
        self.spat_encoder = SpatialViT(size, window, positions=False)
        outputs = {index: f"l{number}" for number, index in enumerate(size.outputs, start=1)}
        self.spec_encoder = SpectralViT(size, window, tokens=_TOKENS, outputs=outputs, positions=False)
        # Kernels of the levels from the deepest on, which the official network calls the first.
        for number, kernel in enumerate((1, 1, 3, 3), start=1):
            self.add_module(f"conv_features{number}", nn.Conv2d(size.width, _TOKENS, 1, bias=False))
            self.add_module(f"fc_spec{number}", SpectralEnhancement(_TOKENS, _HIDDEN, _TOKENS))
            self.add_module(f"conv{number}", DoubleConvolution(_TOKENS, _TOKENS // 2, _CHANNELS, kernel))
        self.BCD_classifier = _collapse(window.grid)
        if complete:
            for encoder in (self.spat_encoder, self.spec_encoder):
                carry(encoder, {"norm.weight": (size.width,), "norm.bias": (size.width,)})

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Two cubes (b, C, h, w) to logits (b, 2): unchanged, changed."""
        parts = [
            self.get_submodule(f"conv{number}")((first - second).abs())
            for number, (first, second) in enumerate(zip(self._levels(before), self._levels(after), strict=True), 1)
        ]
        logits: Tensor = self.BCD_classifier(torch.cat(parts, dim=1))
        return logits.flatten(1)

    def _levels(self, cube: Tensor) -> list[Tensor]:
        """(b, C, h, w) to four times (b, 144, h // p, w // p), deepest first."""
        spectral = torch.stack(self.spec_encoder(cube)).sum(0)
        levels = []
        for number, feature in enumerate(reversed(self.spat_encoder(cube)), start=1):
            reduced = self.get_submodule(f"conv_features{number}")(feature)
            levels.append(self.get_submodule(f"fc_spec{number}")(reduced, spectral))
        return levels


def _collapse(grid: tuple[int, int]) -> nn.Sequential:
    """Convolutions that leave one place of the grid, with two logits."""
    widths = {(5, 5): (256, 256, 128), (7, 7): (256, 128, 64, 64)}.get(grid)
    if widths is None:
        raise ValueError(f"change detection takes 5 x 5 or 7 x 7 patches, not {grid[0]} x {grid[1]}")
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 2, 1))
