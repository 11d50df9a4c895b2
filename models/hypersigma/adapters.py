"""Small transformers behind the two branches, which the restoring networks add."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.hypersigma.block import sampling_blocks
from models.hypersigma.spatial import PatchEmbedding
from models.hypersigma.spectral import SUMMARY

_DEPTH, _HEADS, _INTERVAL, _POINTS = 4, 12, 3, 8


class SpatialAdapter(nn.Module):
    """Features of width E to as many channels as the cube has bands.

    Args:
        inputs: E.
        channels: C.
        grid: rows and columns.
        positions: whether a position embedding is added.
    """

    def __init__(self, inputs: int, channels: int, grid: tuple[int, int], *, positions: bool) -> None:
        super().__init__()
        self._grid = grid
        self.patch_embed_add = PatchEmbedding(inputs, channels, 1)
        self.pos_embed_add = nn.Parameter(torch.empty(1, grid[0] * grid[1], channels)) if positions else None
        self.blocks_add = sampling_blocks(channels, _HEADS, _DEPTH, interval=_INTERVAL, points=_POINTS, grid=grid)

    def reset_parameters(self) -> None:
        """Draws the position embedding."""
        if self.pos_embed_add is not None:
            nn.init.trunc_normal_(self.pos_embed_add, std=0.02)

    def forward(self, feature: Tensor) -> Tensor:
        """(b, E, h, w) to (b, C, h, w)."""
        tokens = self.patch_embed_add(feature)
        if self.pos_embed_add is not None:
            tokens = tokens + self.pos_embed_add
        for block in self.blocks_add:
            tokens = block(tokens)
        return tokens.transpose(1, 2).unflatten(2, self._grid)  # type: ignore[no-any-return]


class SpectralAdapter(nn.Module):
    """Four more blocks over the 128 features of every spectral token.

    Args:
        side: the tokens lie in a square of this side.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.blocks = sampling_blocks(SUMMARY, _HEADS, _DEPTH, interval=_INTERVAL, points=_POINTS, grid=(side, side))

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, T, 128) to (b, T, 128)."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens
