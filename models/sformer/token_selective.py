"""The token-selective block (the paper's TSTB, later TSFTB): attention over tokens of position and spectral group.

b is the batch, C the channels, h and w the grid of patches, g the spectral groups, H the heads, d = C / (g H), and
N = g h w the tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.sformer.architecture import Architecture
from models.sformer.positions import position_matrices
from models.sformer.selection import selected_softmax


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels at each position."""

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        return super().forward(features.movedim(1, -1)).movedim(-1, 1)


class GroupProjection(nn.Module):
    """Queries, keys and values: each spectral group becomes a mix of all groups, then of its neighbouring patches.

    In the authors' code these are 3-D convolutions with the groups as channels and a group's own channels as depth.
    Both kernels are 1 deep, so the two are one matrix for every depth, from (g, h, w) to (q | k | v, g, h, w).
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(groups, 3 * groups, 1, bias=False)
        self.neighbours = nn.Conv2d(3 * groups, 3 * groups, 3, padding=1, groups=3 * groups, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(n, g, h, w) to (n, 3 g, h, w)."""
        n, groups, height, width = features.shape
        matrix = self._matrix(height, width)
        projected = features.reshape(n, groups * height * width) @ matrix
        return projected.reshape(n, 3 * groups, height, width)

    def _matrix(self, height: int, width: int) -> Tensor:
        spread = position_matrices(self.neighbours, height, width)
        # (g, from, 3 g, to)
        joined = self.mix.weight.flatten(1).T[:, None, :, None] * spread.transpose(0, 1)
        return joined.flatten(0, 1).flatten(1)


class TokenSelection(nn.Module):
    """Attention in which each query keeps the tokens with the highest scores alone (the paper's TSFA)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.groups, self.heads = architecture.groups, architecture.heads
        self.keep = int(architecture.tokens * architecture.keep)
        self.axis = -1 if architecture.normalise == "tokens" else -2
        self.select: Callable[[Tensor, int], Tensor] = selected_softmax
        self.project = GroupProjection(self.groups)
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.merge = nn.Conv2d(architecture.channels, architecture.channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        b, channels, height, width = features.shape
        depth = channels // self.groups
        by_group = features.reshape(b, self.groups, depth, height, width).transpose(1, 2)
        projected = self.project(by_group.reshape(b * depth, self.groups, height, width))
        # A group's channels are split into heads; a token is a group at a position.
        heads = projected.reshape(b, self.heads, depth // self.heads, 3, -1)
        queries, keys, values = heads.unbind(dim=3)  # (b, H, d, N)
        queries = functional.normalize(queries, dim=self.axis) * self.temperature
        keys = functional.normalize(keys, dim=self.axis)
        weights = self.select(queries.transpose(-2, -1) @ keys, self.keep)
        attended = weights @ values.transpose(-2, -1)  # (b, H, N, d)
        attended = attended.transpose(-2, -1).reshape(b, depth, self.groups, height, width)
        merged: Tensor = self.merge(attended.transpose(1, 2).reshape(b, channels, height, width))
        return merged


class FeedForward(nn.Sequential):
    """Widens each position, looks at its neighbours, and narrows again."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )


class TokenSelectiveBlock(nn.Module):
    """Token-selective attention and a feed-forward part, each normalised before and added to its input."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.attention_norm = ChannelNorm(architecture.channels)
        self.attention = TokenSelection(architecture)
        self.feed_forward_norm = ChannelNorm(architecture.channels)
        self.feed_forward = FeedForward(architecture.channels, architecture.hidden)

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        features = features + self.attention(self.attention_norm(features))
        added: Tensor = features + self.feed_forward(self.feed_forward_norm(features))
        return added
