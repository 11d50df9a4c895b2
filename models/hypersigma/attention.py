"""Attention of HyperSIGMA: to all tokens, or to a few sampled places around each token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Sampling = Literal["table", "grid"]


class FullAttention(nn.Module):
    """Multi-head attention of every token to every token.

    Args:
        width: E, features of a token. Where the heads do not divide it, they are E // heads wide each, as published.
        heads: their number.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = width // heads * heads
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * inner)
        self.proj = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, n, E) to (b, n, E)."""
        query, key, value = (_split(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        attended: Tensor = self.proj(_merge(functional.scaled_dot_product_attention(query, key, value)))
        return attended


class SparseSamplingAttention(nn.Module):
    """Every query attends to P places of its own choice, read bilinearly from the maps of keys and values.

    A place outside the map has key and value 0, and still takes its share of the softmax.

    Args:
        width: E, features of a token.
        heads: their number.
        points: P, places of a query and head.
        grid: rows and columns (h, w) in which the tokens lie, row by row.

    Attributes:
        sampling: "table" computes all products of queries and keys at once and reads P places from each row; "grid"
            samples keys and values, which costs n * P instead of n * n. Equal results. Chosen by what is less work.
    """

    centres: Tensor

    def __init__(self, width: int, heads: int, points: int, grid: tuple[int, int]) -> None:
        super().__init__()
        inner = width // heads * heads
        self.heads, self.points, self.grid = heads, points, grid
        self.qkv = nn.Linear(width, 3 * inner)
        self.sampling_offsets = nn.Linear(inner, heads * points * 2)
        self.proj = nn.Linear(inner, width)
        self.register_buffer("centres", _centres(grid), persistent=False)
        # A matrix product does several times the work of a gather in its time; measured equal at 1024 tokens.
        self.sampling: Sampling = "table" if grid[0] * grid[1] <= points * (inner // heads) else "grid"

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, h * w, E) to (b, h * w, E)."""
        batch, count = tokens.shape[0], self.grid[0] * self.grid[1]
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        # From the query of all heads together, before it is split; (dx, dy) in tokens.
        offsets = self.sampling_offsets(query).reshape(batch, count, self.heads, self.points, 2).transpose(1, 2)
        # Places keep full precision: half a unit in the last place of float16 is a visible shift at the far edge.
        places = self.centres[:, None] + (offsets.float() if offsets.dtype.itemsize < 4 else offsets)
        parts = _split(query, self.heads), _split(key, self.heads), _split(value, self.heads)
        attend = self._from_table if self.sampling == "table" else self._from_grid
        attended: Tensor = self.proj(_merge(attend(*parts, places).to(tokens.dtype)))
        return attended

    def _from_table(self, query: Tensor, key: Tensor, value: Tensor, places: Tensor) -> Tensor:
        """(b, heads, n, d) three times and (b, heads, n, P, 2) to (b, heads, n, d)."""
        corners, shares = _bilinear(places, self.grid)
        flat = corners.flatten(3)
        products = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
        logits = (products.gather(3, flat).reshape(shares.shape) * shares).sum(-1)
        weights = (logits.softmax(-1)[..., None] * shares).flatten(3)
        table = torch.zeros_like(products, dtype=weights.dtype).scatter_add(3, flat, weights)
        mixed: Tensor = table.to(value.dtype) @ value
        return mixed

    def _from_grid(self, query: Tensor, key: Tensor, value: Tensor, places: Tensor) -> Tensor:
        """As `_from_table`; keys and values are sampled together."""
        batch, heads, count, depth = query.shape
        rows, columns = self.grid
        maps = torch.cat([key, value], dim=3).transpose(2, 3).reshape(batch * heads, 2 * depth, rows, columns)
        scale = places.new_tensor([2 / columns, 2 / rows])
        # Pixel centres lie at (2 * index + 1) / size - 1 in the units of grid_sample.
        grid = ((places + 0.5) * scale - 1).reshape(batch * heads, count, -1, 2)
        sampled = functional.grid_sample(maps.to(grid.dtype), grid, align_corners=False)
        keys, values = sampled.reshape(batch, heads, 2, depth, count, -1).unbind(2)
        logits = (query.transpose(2, 3)[..., None] * keys).sum(2) * depth**-0.5
        mixed: Tensor = (logits.softmax(-1)[:, :, None] * values).sum(-1)
        return mixed.transpose(2, 3)


@contextmanager
def sampling_by(network: nn.Module, form: Sampling) -> Iterator[None]:
    """Has all sampling attention of a network take one form, until the end of the block."""
    parts = [part for part in network.modules() if isinstance(part, SparseSamplingAttention)]
    before = [part.sampling for part in parts]
    for part in parts:
        part.sampling = form
    try:
        yield
    finally:
        for part, own in zip(parts, before, strict=True):
            part.sampling = own


def _split(tokens: Tensor, heads: int) -> Tensor:
    """(b, n, heads * d) to (b, heads, n, d)."""
    batch, count, _ = tokens.shape
    return tokens.reshape(batch, count, heads, -1).transpose(1, 2)


def _merge(tokens: Tensor) -> Tensor:
    """(b, heads, n, d) to (b, n, heads * d)."""
    return tokens.transpose(1, 2).flatten(2)


def _centres(grid: tuple[int, int]) -> Tensor:
    """(h * w, 2) float32, column and row of every token.

    Always on the CPU and never in a file: a network built on the `meta` device is complete once its weights are in.
    """
    rows, columns = (torch.arange(length, dtype=torch.float32, device="cpu") for length in grid)
    return torch.stack([columns.repeat(grid[0]), rows.repeat_interleave(grid[1])], dim=-1)


def _bilinear(places: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The four tokens around each place and their shares.

    Args:
        places: (..., 2), column and row; may lie outside.
        grid: rows and columns.

    Returns:
        indices (..., 4) int64 of tokens, and shares (..., 4), which are 0 for tokens outside the grid.
    """
    (columns, across), (rows, down) = (
        _two_neighbours(place, length) for place, length in zip(places.unbind(-1), reversed(grid), strict=True)
    )
    tokens = rows[..., :, None] * grid[1] + columns[..., None, :]
    return tokens.flatten(-2), (down[..., :, None] * across[..., None, :]).flatten(-2)


def _two_neighbours(place: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Along one axis: the indices (..., 2) int64 around each place (...), and shares (..., 2), 0 where outside."""
    low = place.floor()
    part = place - low
    shares = torch.stack([(1 - part) * _inside(low, length), part * _inside(low + 1, length)], dim=-1)
    indices = torch.stack([low, low + 1], dim=-1).clamp(0, length - 1)
    return indices.long(), shares


def _inside(index: Tensor, length: int) -> Tensor:
    return (index >= 0) & (index < length)
