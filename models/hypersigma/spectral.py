"""The spectral branch: a token is a whole band image, averaged over a few neighbouring bands."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor, nn

from models.hypersigma.block import rising, sampling_blocks
from models.hypersigma.sizes import Size, Window
from models.hypersigma.spatial import run_blocks
from models.hypersigma.unused import with_bias

SUMMARY = 128
"""Features of a spectral token behind `l1` to `l4`, in all sizes."""


class BandPooling(nn.Module):
    """Bands to tokens as a product with a constant matrix: adaptive average pooling that every engine can run.

    Args:
        bands: C.
        tokens: T; where it is more than C, bands are repeated.
    """

    members: Tensor
    counts: Tensor

    def __init__(self, bands: int, tokens: int) -> None:
        super().__init__()
        members = _members(bands, tokens)
        # Apart, because both are exact in every precision and their quotient is not.
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("counts", members.sum(1, keepdim=True), persistent=False)

    def forward(self, bands: Tensor) -> Tensor:
        """(b, C, n) to (b, T, n)."""
        return self.members @ bands / self.counts


class SpectralViT(nn.Module):
    """Tokens of some depths; the blocks behind the last one are not computed. No final norm, as published.

    Args:
        size: of the transformer.
        window: the cubes that it takes; every pixel is an input of each token.
        tokens: T, a perfect square: sampling attention lays the tokens out row by row in a square.
        outputs: index of the block -> name of the linear layer to 128 features behind it, "" for none.
        positions: whether a position embedding is added.
        drop_path: of the last block.
        depth: blocks that are built; where it is left out, as many as the outputs need.

    Raises:
        ValueError: the number of tokens is no perfect square.
    """

    def __init__(
        self,
        size: Size,
        window: Window,
        *,
        tokens: int = 100,
        outputs: Mapping[int, str],
        positions: bool = True,
        drop_path: float = 0.1,
        depth: int | None = None,
    ) -> None:
        super().__init__()
        side = isqrt(tokens)
        if tokens < 1 or side * side != tokens:
            raise ValueError(f"{tokens} spectral tokens do not fill a square: take 36, 64, 100, 144 or another square")
        self.window, self._outputs = window, dict(outputs)
        self.pooling = BandPooling(window.bands, tokens)
        self.spat_map = nn.Linear(window.pixels, size.width)
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, size.width)) if positions else None
        self.blocks = sampling_blocks(
            size.width, size.heads, depth or max(outputs) + 1, interval=size.interval, points=size.points,
            grid=(side, side), drop_path=rising(drop_path, size.depth),
        )  # fmt: skip
        for name in filter(None, outputs.values()):
            self.add_module(name, nn.Linear(size.width, SUMMARY, bias=False))

    def reset_parameters(self) -> None:
        """Draws the position embedding."""
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, cube: Tensor) -> list[Tensor]:
        """(b, C, h, w) to one tensor an output, shallow first: (b, T, 128) behind a linear layer, else (b, T, E).

        Raises:
            ValueError: the cube is not of the window.
        """
        self.window.check(cube.shape)
        # Averages of bands and the map of their pixels are both linear, so the smaller number of rows is mapped; the
        # map's bias stays itself, because a token's shares add up to 1.
        bands = cube.flatten(2)
        if len(self.pooling.members) <= self.window.bands:
            tokens = self.spat_map(self.pooling(bands))
        else:
            tokens = self.pooling(self.spat_map(bands))
        if self.pos_embed is not None:
            tokens = tokens + self.pos_embed
        found = run_blocks(self.blocks, tokens, tuple(self._outputs))
        layers = [self._outputs[index] for index in sorted(self._outputs)]
        return [self.get_submodule(name)(part) if name else part for name, part in zip(layers, found, strict=True)]


def crossed(tokens: int, sets: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the convolutions over tokens that most official spectral encoders carry and never use."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index in range(sets):
        shapes |= with_bias(f"conv_q.{index}", tokens, tokens, 1, 1)
        shapes |= with_bias(f"conv_k.{index}", tokens, tokens, 1)
        shapes |= with_bias(f"conv_v.{index}", tokens, tokens, 1)
    return shapes


def _members(bands: int, tokens: int) -> Tensor:
    """(T, C) float32, 1 where token j averages a band: from floor(j C / T) to ceil((j + 1) C / T) - 1.

    On the CPU and never in a file, for the reason that `models.hypersigma.attention` gives.
    """
    members = torch.zeros(tokens, bands, device="cpu")
    for token in range(tokens):
        members[token, token * bands // tokens : -(-(token + 1) * bands // tokens)] = 1
    return members
