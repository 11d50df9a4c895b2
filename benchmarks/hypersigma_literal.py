"""The pixel classifier step by step as the authors' code computes it.

The peer of `models.hypersigma`: the same parameters, the same logits. Reference points are made in every call, keys and
values are sampled one after the other, attention is written out, bands are pooled by the adaptive layer, all spectral
blocks are computed, and the head reduces whole maps before it averages them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hypersigma.attention import FullAttention, SparseSamplingAttention
from models.hypersigma.classification import PixelClassifier
from models.hypersigma.segmentation import SceneClassifier


def classify(network: PixelClassifier, cube: Tensor) -> Tensor:
    """(b, C, h, w) to logits (b, K); `network` must be complete, so that it has all spectral blocks."""
    spatial = spatial_features(network, cube)
    spectral = spectral_features(network, cube)
    parts = []
    for number, feature in enumerate(reversed(spatial), start=1):
        reduced = network.get_submodule(f"DR{number}")(feature)
        enhanced = (1 + _weights(network, number, spectral)) * reduced
        parts.append(functional.adaptive_avg_pool2d(enhanced, 1).flatten(1))
    return network.classifier(torch.cat(parts, dim=1))


def segment(network: SceneClassifier, cube: Tensor) -> Tensor:
    """(b, C, h, w) to logits (b, K, h, w)."""
    spatial = spatial_features(network, cube)
    spectral = spectral_features(network, cube)
    parts = []
    for number, feature in enumerate(reversed(spatial), start=1):
        enlarged = functional.interpolate(feature, cube.shape[2:], mode="bilinear", align_corners=True)
        enhanced = (1 + _weights(network, number, spectral)) * enlarged
        parts.append(network.get_submodule(f"DR{number}")(enhanced))
    return network.cls(network.conv(torch.cat(parts, dim=1)))


def spatial_features(network: PixelClassifier | SceneClassifier, cube: Tensor) -> list[Tensor]:
    """(b, C, h, w) to the features of four depths behind their necks."""
    encoder = network.spat_encoder
    tokens = encoder.patch_embed.proj(cube).flatten(2).transpose(1, 2)
    found = _blocks(encoder.blocks, tokens + encoder.pos_embed, encoder.outputs)
    maps = [part.permute(0, 2, 1).reshape(len(cube), -1, *encoder.window.grid) for part in found]
    return [neck(part) for neck, part in zip(encoder.necks(), maps, strict=True)]


def spectral_features(network: PixelClassifier | SceneClassifier, cube: Tensor) -> Tensor:
    """(b, C, h, w) to the 128 features of each token at the first output, after all blocks were computed."""
    encoder = network.spec_encoder
    pixels = cube.flatten(2).transpose(1, 2)
    bands = functional.adaptive_avg_pool1d(pixels, encoder.pos_embed.shape[1]).transpose(1, 2)
    found = _blocks(encoder.blocks, encoder.spat_map(bands) + encoder.pos_embed, network.spat_encoder.outputs)
    return encoder.get_submodule("l1")(found[0])


def _weights(network: PixelClassifier | SceneClassifier, number: int, spectral: Tensor) -> Tensor:
    pooled = functional.adaptive_avg_pool1d(spectral, 1).flatten(1)
    layers = network.get_submodule(f"fc_spec{number}")
    return nn.Sequential(*layers.children())(pooled)[:, :, None, None]


def _blocks(blocks: nn.ModuleList, tokens: Tensor, outputs: tuple[int, ...]) -> list[Tensor]:
    found = []
    for index, block in enumerate(blocks):
        attend = _full if isinstance(block.attn, FullAttention) else _sparse
        tokens = tokens + attend(block.attn, block.norm1(tokens))
        tokens = tokens + block.mlp(block.norm2(tokens))
        if index in outputs:
            found.append(tokens)
    return found


def _full(attention: FullAttention, tokens: Tensor) -> Tensor:
    batch, count, width = tokens.shape
    query, key, value = attention.qkv(tokens).reshape(batch, count, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
    weights = (query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)).softmax(dim=-1)
    return attention.proj((weights @ value).transpose(1, 2).reshape(batch, count, width))


def _sparse(attention: SparseSamplingAttention, tokens: Tensor) -> Tensor:
    (rows, columns), heads, points = attention.grid, attention.heads, attention.points
    batch, count, width = tokens.shape
    depth = width // heads
    query, key, value = attention.qkv(tokens).split(width, dim=2)
    offsets = attention.sampling_offsets(query).reshape(batch, count, heads, points, 2).permute(0, 2, 1, 3, 4)
    y, x = torch.meshgrid(*(torch.arange(size).to(tokens) + 0.5 for size in attention.grid), indexing="ij")
    centres = torch.stack([x.reshape(-1) / columns, y.reshape(-1) / rows], dim=1)[:, None]
    grid = 2 * (centres + offsets / tokens.new_tensor([columns, rows])) - 1
    grid = grid.reshape(batch * heads, count, points, 2)

    def sampled(part: Tensor) -> Tensor:
        maps = part.transpose(1, 2).reshape(batch * heads, depth, rows, columns)
        read = functional.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return read.reshape(batch, heads, depth, count, points).permute(0, 1, 3, 4, 2)

    queries = query.reshape(batch, count, heads, 1, depth).transpose(1, 2)
    weights = ((queries * sampled(key)).sum(-1) * depth**-0.5).softmax(dim=-1)
    mixed = (weights[..., None] * sampled(value)).sum(dim=3)
    return attention.proj(mixed.transpose(1, 2).reshape(batch, count, width))
