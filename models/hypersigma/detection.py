"""Anomaly detection without a target, and detection of a known target, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import SpatialViT
from models.hypersigma.spectral import SUMMARY, SpectralViT, crossed
from models.hypersigma.unused import carry

_TOKENS, _HIDDEN = 100, 32


class DetectionFeatures(nn.Module):
    """Both branches joined to 128 features of each patch: what the two detectors share.

    Args:
        size: of both transformers.
        window: the cubes; with patches of one pixel, as published, there is one feature vector for each pixel.
        complete: whether to carry what the official network has and does not use.
    """

    def __init__(self, size: Size, window: Window, *, complete: bool) -> None:
        super().__init__()
        necks = [nn.Conv2d(size.width, SUMMARY, 1, bias=False) for _ in range(4)]
        self.spat_encoder = SpatialViT(size, window, necks=necks)
        self.spec_encoder = SpectralViT(size, window, tokens=_TOKENS, outputs={size.outputs[-1]: "l1"})
        self.conv_features = nn.Conv2d(SUMMARY, SUMMARY, 1, bias=False)
        self.fc_spec = SpectralEnhancement(_TOKENS, _HIDDEN, SUMMARY)
        if complete:
            norm = {"norm.weight": (size.width,), "norm.bias": (size.width,)}
            carry(self.spec_encoder, norm | crossed(_TOKENS, 1))

    def features(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, 128, h // p, w // p)."""
        [spectral] = self.spec_encoder(cube)
        total = torch.stack(self.spat_encoder(cube)).sum(0)
        return self.fc_spec(self.conv_features(total), spectral)  # type: ignore[no-any-return]


class AnomalyDetector(DetectionFeatures):
    """Background or anomaly, without a known target."""

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        super().__init__(size, window, complete=complete)
        self.conv_fc = nn.Sequential(nn.Conv2d(SUMMARY, 2, 1, bias=False))

    def forward(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to logits (b, 2, h // p, w // p): background, anomaly."""
        logits: Tensor = self.conv_fc(self.features(cube))
        return logits


class TargetDetector(DetectionFeatures):
    """How much every pixel is like a spectrum that is looked for."""

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        super().__init__(size, window, complete=complete)
        self.conv_ts = nn.Sequential(
            nn.Linear(window.bands, SUMMARY, bias=False), nn.LayerNorm(SUMMARY), nn.GELU(),
            nn.Linear(SUMMARY, SUMMARY, bias=False),
        )  # fmt: skip

    def forward(self, cube: Tensor, target: Tensor) -> Tensor:
        """(b, C, h, w) and the target's spectrum (b, C) to scores (b, h // p, w // p), larger where more alike."""
        wanted = self.conv_ts(target)[:, :, None, None]
        scores: Tensor = (self.features(cube) * wanted).sum(1)
        return scores
