"""Change between two multispectral images of the same place, pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import SpatialViT, pyramid
from models.hypersigma.spectral import SUMMARY, SpectralViT
from models.hypersigma.unused import carry

_TOKENS, _POINTS = 100, 4
_SPREAD_BANDS = 100
"""A 1 x 1 convolution brings the few bands to as many as the backbone was pre-trained with."""


class MultispectralChangeDetector(nn.Module):
    """Two images to a map of change; both go through the same branches.

    Args:
        size: of both transformers; the spatial one samples 4 places of a query, as published.
        window: the images.
        complete: whether to carry what the official network has and does not use.
    """

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        super().__init__()
        width, spread = size.width, replace(window, bands=_SPREAD_BANDS)
        self.window = window
        self.dim_red = nn.Conv2d(window.bands, _SPREAD_BANDS, 1)
        # The published network carries this neck at every patch size.
        necks = pyramid(2, width)
        self.spat_encoder = SpatialViT(replace(size, points=_POINTS), spread, necks=necks, positions=False)
        self.spec_encoder = SpectralViT(
            size, spread, tokens=_TOKENS, outputs={size.outputs[0]: "l1"}, positions=False,
            depth=size.depth if complete else None,
        )  # fmt: skip
        self.fc_spec = SpectralEnhancement(_TOKENS, width, width)
        for number in (4, 3, 2, 1):
            fuse = nn.Sequential(nn.Conv2d(2 * width, SUMMARY, 1), nn.BatchNorm2d(SUMMARY), nn.ReLU())
            self.add_module(f"fuse_layer_{number}", fuse)
        for number in (3, 2, 1):
            self.add_module(f"smooth_layer_{number}", nn.Conv2d(SUMMARY, SUMMARY, 3, padding=1))
        self.main_clf_1 = nn.Conv2d(SUMMARY, 2, 1)
        if complete:
            norm = {"norm.weight": (width,), "norm.bias": (width,)}
            carry(self.spat_encoder, norm)
            carry(self.spec_encoder, norm | {f"l{number}.weight": (SUMMARY, width) for number in (2, 3, 4)})
            carry(self, {"conv_features.weight": (SUMMARY, SUMMARY, 1, 1)})

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Two images (b, C, h, w) to logits (b, 2, h, w): unchanged, changed."""
        dates = [self._levels(before), self._levels(after)]
        joined: Tensor | None = None
        for number, pair in reversed(list(enumerate(zip(*dates, strict=True), start=1))):
            level = self.get_submodule(f"fuse_layer_{number}")(torch.cat(pair, dim=1))
            if joined is not None:
                level = self.get_submodule(f"smooth_layer_{number}")(level + _enlarged(joined, level.shape[2:]))
            joined = level
        return _enlarged(self.main_clf_1(joined), before.shape[2:])

    def _levels(self, image: Tensor) -> list[Tensor]:
        """(b, C, h, w) to four enhanced features of E channels, finest first."""
        self.window.check(image.shape)
        spread = self.dim_red(image)
        [spectral] = self.spec_encoder(spread)
        return [self.fc_spec(feature, spectral) for feature in self.spat_encoder(spread)]


def _enlarged(feature: Tensor, shape: torch.Size) -> Tensor:
    return functional.interpolate(feature, tuple(shape), mode="bilinear", align_corners=False)
