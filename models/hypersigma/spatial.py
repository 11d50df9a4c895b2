"""The spatial branch: a token is a square patch of pixels with all its bands."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.hypersigma.block import rising, sampling_blocks
from models.hypersigma.sizes import Size, Window


class PatchEmbedding(nn.Module):
    """Patches of pixels to tokens.

    Args:
        bands: C.
        width: E.
        patch: p, side of a patch.
    """

    def __init__(self, bands: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(bands, width, patch, patch)

    def forward(self, cube: Tensor) -> Tensor:
        """(b, C, h, w) to (b, h // p * w // p, E), row by row."""
        features: Tensor = self.proj(cube)
        return features.flatten(2).transpose(1, 2)


class SpatialViT(nn.Module):
    """Features of four depths, in two dimensions; no final norm, as published.

    Args:
        size: of the transformer.
        window: the cubes that it takes.
        necks: four modules, applied to the features of the four depths; they are left as they are without.
        positions: whether a position embedding, which belongs to this grid alone, is added.
        drop_path: of the last block.
    """

    def __init__(
        self,
        size: Size,
        window: Window,
        *,
        necks: Sequence[nn.Module] = (),
        positions: bool = True,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        self.window, self.outputs = window, size.outputs
        rows, columns = window.grid
        self.patch_embed = PatchEmbedding(window.bands, size.width, window.patch)
        self.pos_embed = nn.Parameter(torch.empty(1, rows * columns, size.width)) if positions else None
        self.blocks = sampling_blocks(
            size.width, size.heads, size.depth, interval=size.interval, points=size.points, grid=window.grid,
            drop_path=rising(drop_path, size.depth),
        )  # fmt: skip
        for number, neck in enumerate(necks, start=1):
            self.add_module(f"fpn{number}", neck)
        self._necks = len(necks)

    def reset_parameters(self) -> None:
        """Draws the position embedding."""
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def features(self, cube: Tensor) -> list[Tensor]:
        """(b, C, h, w) to four times (b, E, h // p, w // p), shallow first.

        Raises:
            ValueError: the cube is not of the window.
        """
        self.window.check(cube.shape)
        tokens = self.patch_embed(cube)
        if self.pos_embed is not None:
            tokens = tokens + self.pos_embed
        found = run_blocks(self.blocks, tokens, self.outputs)
        # By shape and not by len, which an exporter takes for a constant.
        return [part.transpose(1, 2).reshape(cube.shape[0], -1, *self.window.grid) for part in found]

    def necks(self) -> list[nn.Module]:
        """The four modules behind the features; empty where there are none."""
        return [self.get_submodule(f"fpn{number + 1}") for number in range(self._necks)]

    def forward(self, cube: Tensor) -> list[Tensor]:
        """(b, C, h, w) to the four features behind their necks, shallow first."""
        found = self.features(cube)
        return [neck(part) for neck, part in zip(self.necks(), found, strict=True)] if self._necks else found


def run_blocks(blocks: nn.ModuleList, tokens: Tensor, outputs: Sequence[int]) -> list[Tensor]:
    """What the blocks `outputs` give; blocks behind the last of them are not computed."""
    found = []
    for index, block in enumerate(blocks[: max(outputs) + 1]):
        tokens = block(tokens)
        if index in outputs:
            found.append(tokens)
    return found


class Doubling(nn.Sequential):
    """Twice the rows and columns by a transposed convolution without overlap."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.ConvTranspose2d(width, width, 2, 2))

    def average(self, feature: Tensor) -> Tensor:
        """The mean over pixels of the doubled feature, (b, E), without making it: every pixel gives four."""
        [convolution] = self
        kernel, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
        return feature.mean((2, 3)) @ kernel.mean((2, 3)) + bias


def pyramid(patch: int, width: int) -> list[nn.Module]:
    """The necks of classification for a patch size: finer and coarser maps for the four depths.

    Raises:
        ValueError: there are none for this patch size.
    """
    if patch in (1, 2):
        return [Doubling(width), nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d(4)]
    if patch in (4, 8):
        return [nn.Identity(), nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d(4)]
    raise ValueError(f"classification takes patches of 1, 2, 4 or 8 pixels, not {patch}")
