"""Unmixing: how much of each material a pixel holds, and the materials' spectra."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import SpatialViT
from models.hypersigma.spectral import SUMMARY, SpectralViT
from models.hypersigma.unused import carry

_TOKENS, _HIDDEN = 64, 32


class Unmixer(nn.Module):
    """Cubes to abundances, and back to cubes by a linear mixture of the materials' spectra.

    Args:
        size: of both transformers.
        window: the cubes.
        materials: M.
        complete: whether to carry what the official network has and does not use.
    """

    def __init__(self, size: Size, window: Window, materials: int, *, complete: bool = False) -> None:
        super().__init__()
        self.spat_encoder = SpatialViT(size, window, positions=False)
        self.spec_encoder = SpectralViT(size, window, tokens=_TOKENS, outputs={size.outputs[-1]: "l4"}, positions=False)
        # Kernels of the levels from the deepest on, which the official network calls the first.
        for number, kernel in enumerate((1, 1, 3, 3), start=1):
            self.add_module(f"conv_features{number}", nn.Conv2d(size.width, _TOKENS, 1, bias=False))
            self.add_module(f"fc_spec{number}", SpectralEnhancement(_TOKENS, _HIDDEN, _TOKENS))
            self.add_module(f"conv{number}", _convolution(_TOKENS, _TOKENS, kernel))
        self.smooth = _convolution(4 * _TOKENS, 2 * _TOKENS, 3)
        self.smooth.append(nn.Conv2d(2 * _TOKENS, _TOKENS, 1))
        self.conv5 = _convolution(_TOKENS, materials, 1)
        spectra = nn.Conv2d(materials, window.bands, 1, bias=False)
        self.decoder = nn.Sequential(OrderedDict(decoder=spectra, relu=nn.ReLU()))
        if complete:
            self._carry(size.width)

    def forward(self, cube: Tensor) -> tuple[Tensor, Tensor]:
        """(b, C, h, w) to abundances (b, M, h, w), which add up to 1, and the mixed cube (b, C, h, w)."""
        [spectral] = self.spec_encoder(cube)
        parts = []
        for number, feature in enumerate(reversed(self.spat_encoder(cube)), start=1):
            reduced = self.get_submodule(f"conv_features{number}")(feature)
            enhanced = self.get_submodule(f"fc_spec{number}")(reduced, spectral)
            parts.append(self.get_submodule(f"conv{number}")(enhanced))
        joined = functional.interpolate(torch.cat(parts, 1), cube.shape[2:], mode="bilinear", align_corners=True)
        abundances = self.conv5(self.smooth(joined)).softmax(1)
        return abundances, self.decoder(abundances)

    def _carry(self, width: int) -> None:
        norm = {"norm.weight": (width,), "norm.bias": (width,)}
        carry(self.spat_encoder, norm)
        carry(self.spec_encoder, norm | {f"l{number}.weight": (SUMMARY, width) for number in (1, 2, 3)})
        for name in ("conv2_", "conv3_", "conv4_"):
            self.add_module(name, _convolution(2 * _TOKENS, _TOKENS, 3).requires_grad_(False))


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.LeakyReLU(0.02), nn.BatchNorm2d(outputs),
        nn.Dropout(0.2),
    )  # fmt: skip
