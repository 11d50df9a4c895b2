"""Depthwise convolutions over a grid of a few patches, as matrices of positions.

On 5 x 5 patches a matrix product takes a fraction of the time of the convolution, most of all where this is dilated.
c is the channels, h and w the grid, p = h w its positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def position_matrices(convolution: nn.Conv2d, height: int, width: int) -> Tensor:
    """What each position gives to each other in every channel of a depthwise convolution, (c, p, p) from and to."""
    weight = convolution.weight
    size, padding, dilation = convolution.kernel_size, convolution.padding, convolution.dilation
    assert not isinstance(padding, str)
    positions = height * width
    units = torch.eye(positions, dtype=weight.dtype, device=weight.device).reshape(positions, 1, height, width)
    # 1 where a position is read through one of the kernel's taps when another is made; (from, taps, to).
    taps = functional.unfold(units, size, dilation=dilation, padding=padding)
    matrices = weight.flatten(1) @ taps.movedim(1, 0).flatten(1)
    return matrices.reshape(-1, positions, positions)


class SmallGridConvolution(nn.Conv2d):
    """A depthwise convolution that keeps the size of the grid."""

    def __init__(self, channels: int, size: int, *, dilation: int = 1) -> None:
        super().__init__(channels, channels, size, padding=size // 2 * dilation, dilation=dilation, groups=channels)

    def forward(self, features: Tensor) -> Tensor:
        """(b, c, h, w) to the same."""
        matrices = position_matrices(self, *features.shape[2:])
        by_channel = features.flatten(2).transpose(0, 1) @ matrices  # (c, b, p)
        assert self.bias is not None
        return by_channel.transpose(0, 1).reshape(features.shape) + self.bias[:, None, None]
