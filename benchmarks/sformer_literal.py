"""SFormer as the paper's code writes it: two convolutions as a stem, 3-D convolutions, `torch.topk` and a mask.

The peer of `models.sformer`: the same parameters, the same logits, other arithmetic.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.sformer.network import SFormer, Stem
from models.sformer.token_selective import TokenSelection


class LiteralStem(nn.Module):
    """The two convolutions one after the other."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.local, self.embed, self.norm = stem.local, stem.embed, stem.norm

    def forward(self, windows: Tensor) -> Tensor:
        """(b, c, s, s) to (b, C, h, w)."""
        tokens: Tensor = self.norm(self.embed(self.local(windows)))
        return tokens


class LiteralSelection(nn.Module):
    """Tokens in the order (h, w, group), selected by `torch.topk`."""

    def __init__(self, block: TokenSelection) -> None:
        super().__init__()
        self.groups, self.heads, self.keep, self.axis = block.groups, block.heads, block.keep, block.axis
        g = block.groups
        self.qkv = nn.Conv3d(g, 3 * g, 1, bias=False)
        self.neighbours = nn.Conv3d(3 * g, 3 * g, (1, 3, 3), padding=(0, 1, 1), groups=3 * g, bias=False)
        self.qkv.weight = nn.Parameter(block.project.mix.weight.detach()[:, :, None].clone())
        self.neighbours.weight = nn.Parameter(block.project.neighbours.weight.detach()[:, :, None].clone())
        self.temperature, self.merge = block.temperature, block.merge

    def forward(self, features: Tensor) -> Tensor:
        """(b, C, h, w) to the same."""
        b, c, h, w = features.shape
        depth = c // self.groups
        volume = features.reshape(b, self.groups, depth, h, w)
        parts = self.neighbours(self.qkv(volume)).chunk(3, dim=1)
        q, k, v = (self._to_heads(part) for part in parts)
        q, k = functional.normalize(q, dim=self.axis), functional.normalize(k, dim=self.axis)
        scores = (q.transpose(-2, -1) @ k) * self.temperature
        kept = torch.topk(scores, k=self.keep, dim=-1, largest=True)[1]
        mask = torch.zeros_like(scores).scatter_(-1, kept, 1.0)
        scores = torch.where(mask > 0, scores, torch.full_like(scores, -torch.inf))
        out = scores.softmax(dim=-1) @ v.transpose(-2, -1)
        out = out.transpose(-2, -1).reshape(b, self.heads, depth // self.heads, h, w, self.groups)
        return self.merge(out.permute(0, 5, 1, 2, 3, 4).reshape(b, c, h, w))

    def _to_heads(self, part: Tensor) -> Tensor:
        b, g, depth, h, w = part.shape
        heads = part.reshape(b, g, self.heads, depth // self.heads, h, w)
        return heads.permute(0, 2, 3, 4, 5, 1).reshape(b, self.heads, depth // self.heads, h * w * g)


def literal(network: SFormer) -> SFormer:
    """A copy of the network with its own weights that computes as the paper's code does."""
    peer = copy.deepcopy(network)
    peer.stem = LiteralStem(peer.stem)  # type: ignore[assignment]
    for kernel_block in peer.kernel_blocks:
        selection = kernel_block.attention.selection  # type: ignore[union-attr]
        selection.far = _convolution(selection.far)  # type: ignore[union-attr, arg-type, assignment]
    for block in peer.token_blocks:
        block.attention = LiteralSelection(block.attention)  # type: ignore[arg-type, union-attr]
    return peer


def _convolution(small: nn.Conv2d) -> nn.Conv2d:
    wide = nn.Conv2d(small.in_channels, small.out_channels, 5, padding=4, dilation=2, groups=small.groups)
    wide.weight, wide.bias = small.weight, small.bias
    return wide
