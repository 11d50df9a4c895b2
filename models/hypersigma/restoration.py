"""Denoising and super-resolution: cubes to cubes."""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.adapters import SpatialAdapter, SpectralAdapter
from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import SpatialViT
from models.hypersigma.spectral import SUMMARY, SpectralViT
from models.hypersigma.unused_restoration import carry_restoration


class _Restorer(nn.Module):
    """What both tasks share: features at the cube's resolution, enhanced and mixed with the cube itself.

    Args:
        size: of both transformers.
        window: the cubes.
        tokens: T of the spectral branch.
        positions: whether position embeddings are added.
        doubled: whether features lie at half the cube's resolution and are doubled.
        drop_path: of the last block.
        complete: whether to carry what the official network has and does not use.
    """

    def __init__(
        self, size: Size, window: Window, *, tokens: int, positions: bool, doubled: bool, drop_path: float,
        complete: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        bands = window.bands
        self.spat_encoder = SpatialViT(size, window, positions=positions, drop_path=drop_path)
        if doubled:
            self.spat_encoder.up1 = nn.ConvTranspose2d(size.width, size.width, 2, 2)
        self._doubled = doubled
        self.spec_encoder = SpectralViT(
            size, window, tokens=tokens, outputs={size.outputs[-1]: "l1"}, positions=positions, drop_path=drop_path
        )
        self.adapter = SpatialAdapter(size.width, bands, (window.height, window.width), positions=positions)
        self.adapter_spec = SpectralAdapter(isqrt(tokens))
        self.fc_spec = SpectralEnhancement(tokens, SUMMARY, bands)
        self.conv3_reconstruct = nn.Conv2d(2 * bands, bands, 3, padding=1)
        if complete:
            carry_restoration(self, size.width, window, tokens, positions=positions, doubled=doubled)

    def mixed(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, C, h, w)."""
        feature = self.spat_encoder.features(cube)[-1]
        if self._doubled:
            feature = self.spat_encoder.get_submodule("up1")(feature)
        [spectral] = self.spec_encoder(cube)
        enhanced = self.fc_spec(self.adapter(feature), self.adapter_spec(spectral))
        joined: Tensor = self.conv3_reconstruct(torch.cat([cube, enhanced], dim=1))
        return joined


class Denoiser(_Restorer):
    """Noisy cubes to clean ones.

    Args:
        size: of both transformers.
        window: the cubes; patches of two pixels, and an even number of rows and columns.
        complete: whether to carry what the official network has and does not use.

    Raises:
        ValueError: another patch size, or odd rows or columns.
    """

    def __init__(self, size: Size, window: Window, *, complete: bool = False) -> None:
        if window.patch != 2 or window.height % 2 or window.width % 2:
            raise ValueError("denoising takes patches of 2 pixels and an even number of rows and columns")
        super().__init__(size, window, tokens=100, positions=True, doubled=True, drop_path=0.1, complete=complete)
        self.conv_tail = nn.Conv2d(window.bands, window.bands, 3, padding=1)

    def forward(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, C, h, w)."""
        clean: Tensor = self.conv_tail(self.mixed(cube))
        return clean


class SuperResolver(_Restorer):
    """Cubes to cubes of `scale` times the rows and columns.

    Args:
        size: of both transformers.
        window: the cubes, of low resolution; patches of one pixel.
        scale: a power of 2.
        complete: whether to carry what the official network has and does not use.

    Raises:
        ValueError: another patch size or scale.
    """

    def __init__(self, size: Size, window: Window, scale: int, *, complete: bool = False) -> None:
        if window.patch != 1 or scale < 2 or scale & (scale - 1):
            raise ValueError("super-resolution takes patches of 1 pixel and a scale of 2, 4, 8 or a higher power of 2")
        super().__init__(size, window, tokens=36, positions=False, doubled=False, drop_path=0.0, complete=complete)
        bands = window.bands
        self.conv_tail = nn.Conv2d(2 * bands, bands, 3, padding=1)
        stages: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            stages += [nn.Conv2d(bands, 4 * bands, 3, padding=1), nn.PixelShuffle(2)]
        self.upsample = nn.Sequential(*stages)
        self.skip_conv = nn.Conv2d(bands, bands, 3, padding=1)
        self._scale = scale

    def forward(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, C, scale * h, scale * w)."""
        enlarged = functional.interpolate(cube, scale_factor=self._scale, mode="bicubic", align_corners=False)
        joined = torch.cat([self.upsample(self.mixed(cube)), self.skip_conv(enlarged)], dim=1)
        fine: Tensor = self.conv_tail(joined)
        return fine
