"""The transformer blocks that both branches are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.attention import FullAttention, SparseSamplingAttention

NORM_EPS = 1e-6


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        width: E, features of a token.
        attention: from (b, n, E) to (b, n, E).
        drop_path: share of samples that pass the block by in training, in [0, 1).
    """

    def __init__(self, width: int, attention: nn.Module, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = attention
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = Mlp(width)
        self._drop_path = drop_path

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, n, E) to (b, n, E)."""
        tokens = tokens + self._dropped(self.attn(self.norm1(tokens)))
        return tokens + self._dropped(self.mlp(self.norm2(tokens)))

    def _dropped(self, change: Tensor) -> Tensor:
        if not self.training or self._drop_path == 0:
            return change
        kept = torch.empty_like(change[:, :1, :1]).bernoulli_(1 - self._drop_path)
        return change * kept / (1 - self._drop_path)


class Mlp(nn.Module):
    """Two layers with four times the width between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, n, E) to (b, n, E)."""
        changed: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return changed


def full_blocks(width: int, heads: int, depth: int) -> nn.ModuleList:
    """Blocks that all attend to all tokens, as in pre-training."""
    return nn.ModuleList(Block(width, FullAttention(width, heads)) for _ in range(depth))


def sampling_blocks(
    width: int,
    heads: int,
    depth: int,
    *,
    interval: int,
    points: int,
    grid: tuple[int, int],
    drop_path: Sequence[float] | None = None,
) -> nn.ModuleList:
    """Blocks of which every `interval`-th attends to all tokens; the others sample `points` places in the grid.

    Args:
        width: E.
        heads: of each block.
        depth: number of blocks.
        interval: see above.
        points: see above.
        grid: rows and columns of tokens.
        drop_path: one share a block; none is dropped where it is left out.
    """
    blocks = []
    for index in range(depth):
        full = (index + 1) % interval == 0
        attention = FullAttention(width, heads) if full else SparseSamplingAttention(width, heads, points, grid)
        blocks.append(Block(width, attention, drop_path=drop_path[index] if drop_path else 0.0))
    return nn.ModuleList(blocks)


def rising(last: float, depth: int) -> list[float]:
    """Drop-path shares from 0 in the first block to `last` in the last one."""
    return [last * index / max(depth - 1, 1) for index in range(depth)]
