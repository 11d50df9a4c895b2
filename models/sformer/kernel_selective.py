"""The kernel-selective block (the paper's KSTB, later KSFTB): each place and channel chooses its receptive field.

b is the batch, C the channels, h and w the grid of patches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.sformer.architecture import Architecture
from models.sformer.positions import SmallGridConvolution
from models.sformer.token_selective import ChannelNorm

_LAYER_SCALE = 1e-2
_LEAST_BOTTLENECK = 32


class KernelSelection(nn.Module):
    """Two kernels in series, of which spatial and spectral gates choose (the paper's KSFA).

    The first sees 3 x 3 patches, the second 11 x 11 through the first.
    """

    def __init__(self, channels: int, spatial_selection: str) -> None:
        super().__init__()
        half, bottleneck = channels // 2, max(channels // 16, _LEAST_BOTTLENECK)
        self.near = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.far = SmallGridConvolution(channels, 5, dilation=2)
        self.near_half = nn.Conv2d(channels, half, 1)
        self.far_half = nn.Conv2d(channels, half, 1)
        self.spatial_gate = nn.Conv2d(2, 2, 1) if spatial_selection == "sigmoid" else None
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, bottleneck, 1, bias=False), nn.BatchNorm2d(bottleneck), nn.ReLU()
        )
        self.spectral_gate = nn.Conv2d(bottleneck, channels, 1, bias=False)
        self.gate = nn.Conv2d(half, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        near = self.near(features)
        halves = torch.cat([self.near_half(near), self.far_half(self.far(near))], dim=1)
        selected = _by_kernel(halves) * self._spatial(halves) * self._spectral(halves)
        gated: Tensor = features * self.gate(selected.sum(dim=1)).sigmoid()
        return gated

    def _spatial(self, halves: Tensor) -> Tensor:
        """A gate for each kernel and place, (b, 2, 1, h, w)."""
        mean = halves.mean(dim=1, keepdim=True)
        if self.spatial_gate is None:
            return mean[:, None]
        highest = halves.amax(dim=1, keepdim=True)
        gates: Tensor = self.spatial_gate(torch.cat([mean, highest], dim=1)).sigmoid()
        return gates[:, :, None]

    def _spectral(self, halves: Tensor) -> Tensor:
        """A gate for each kernel and channel, (b, 2, C / 2, 1, 1); the two of a channel sum to 1."""
        pooled = halves.mean(dim=(2, 3), keepdim=True)
        return _by_kernel(self.spectral_gate(self.squeeze(pooled))).softmax(dim=1)


def _by_kernel(halves: Tensor) -> Tensor:
    """(b, C, ...) to (b, 2, C / 2, ...)."""
    return halves.reshape(halves.shape[0], 2, -1, *halves.shape[2:])


class KernelSelectiveAttention(nn.Module):
    """Kernel selection between two 1 x 1 convolutions, added to what came in."""

    def __init__(self, channels: int, spatial_selection: str) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GELU())
        self.selection = KernelSelection(channels, spatial_selection)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        added: Tensor = features + self.merge(self.selection(self.project(features)))
        return added


class KernelSelectiveBlock(nn.Module):
    """Kernel-selective attention and a feed-forward part, each scaled by channel before it is added to its input."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels = architecture.channels
        norm = nn.BatchNorm2d if architecture.kernel_norm == "batch" else ChannelNorm
        self.attention_norm = norm(channels)
        self.attention = KernelSelectiveAttention(channels, architecture.spatial_selection)
        self.attention_scale = nn.Parameter(torch.full((channels, 1, 1), _LAYER_SCALE))
        self.feed_forward_norm = norm(channels)
        self.feed_forward = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )
        self.feed_forward_scale = nn.Parameter(torch.full((channels, 1, 1), _LAYER_SCALE))

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        features = features + self.attention_scale * self.attention(self.attention_norm(features))
        added: Tensor = features + self.feed_forward_scale * self.feed_forward(self.feed_forward_norm(features))
        return added
