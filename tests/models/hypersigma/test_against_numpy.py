"""The networks against the formulas written out in numpy, token by token and place by place."""

from __future__ import annotations

from math import erf, floor, sqrt

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from models.hypersigma.attention import FullAttention, Sampling, SparseSamplingAttention, sampling_by
from models.hypersigma.enhancement import SpectralEnhancement
from models.hypersigma.pretraining import SpatialAutoencoder
from models.hypersigma.sizes import Window
from models.hypersigma.spatial import Doubling, SpatialViT
from models.hypersigma.spectral import BandPooling, SpectralViT
from tests.models.hypersigma.conftest import TINY, filled, wave

Array = NDArray[np.float64]
Weights = dict[str, Array]


def weights_of(module: nn.Module) -> Weights:
    return {key: value.numpy() for key, value in module.state_dict().items()}


def linear(weights: Weights, name: str, x: Array) -> Array:
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def softmax(x: Array) -> Array:
    exponentials: Array = np.exp(x - x.max())
    return exponentials / exponentials.sum()


def norm(weights: Weights, name: str, x: Array) -> Array:
    centred = x - x.mean(1, keepdims=True)
    scaled = centred / np.sqrt(centred.var(1, keepdims=True) + 1e-6)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def full(weights: Weights, heads: int, tokens: Array) -> Array:
    """Every token asks every token."""
    query, key, value = np.split(linear(weights, "qkv", tokens), 3, axis=1)
    mixed, depth = np.empty_like(query), query.shape[1] // heads
    for head in range(heads):
        part = slice(head * depth, (head + 1) * depth)
        for n in range(len(tokens)):
            shares = softmax(key[:, part] @ query[n, part] / sqrt(depth))
            mixed[n, part] = shares @ value[:, part]
    return linear(weights, "proj", mixed)


def read(tokens: Array, grid: tuple[int, int], column: float, row: float) -> Array:
    """A map of tokens at a place between them; 0 outside."""
    found, left, top = np.zeros(tokens.shape[1]), floor(column), floor(row)
    for x, across in ((left, left + 1 - column), (left + 1, column - left)):
        for y, down in ((top, top + 1 - row), (top + 1, row - top)):
            if 0 <= x < grid[1] and 0 <= y < grid[0]:
                found += across * down * tokens[y * grid[1] + x]
    return found


def sparse(weights: Weights, heads: int, grid: tuple[int, int], tokens: Array) -> Array:
    """Every token asks P places that it chooses with its whole query."""
    query, key, value = np.split(linear(weights, "qkv", tokens), 3, axis=1)
    offsets = linear(weights, "sampling_offsets", query).reshape(len(tokens), heads, -1, 2)
    mixed, depth = np.empty_like(query), query.shape[1] // heads
    for n in range(len(tokens)):
        for head in range(heads):
            part = slice(head * depth, (head + 1) * depth)
            places = [(n % grid[1] + dx, n // grid[1] + dy) for dx, dy in offsets[n, head]]
            keys, values = (np.array([read(m[:, part], grid, *place) for place in places]) for m in (key, value))
            mixed[n, part] = softmax(keys @ query[n, part] / sqrt(depth)) @ values
    return linear(weights, "proj", mixed)


def block(weights: Weights, heads: int, grid: tuple[int, int], tokens: Array) -> Array:
    attention = {key.removeprefix("attn."): value for key, value in weights.items() if key.startswith("attn.")}
    normed = norm(weights, "norm1", tokens)
    samples = "sampling_offsets.weight" in attention
    tokens = tokens + (sparse(attention, heads, grid, normed) if samples else full(attention, heads, normed))
    hidden = linear(weights, "mlp.fc1", norm(weights, "norm2", tokens))
    gelu = hidden * 0.5 * (1 + np.vectorize(erf)(hidden / sqrt(2)))
    return tokens + linear(weights, "mlp.fc2", gelu)


def depths(weights: Weights, grid: tuple[int, int], tokens: Array) -> list[Array]:
    """The tokens behind each of the four blocks."""
    found = []
    for index in range(4):
        prefix = f"blocks.{index}."
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        tokens = block(own, 3, grid, tokens)
        found.append(tokens)
    return found


@pytest.mark.parametrize("form", ["table", "grid"])
@pytest.mark.parametrize("reach", [1, 30])
def test_sampling_attention_is_that_of_the_formula_when_places_lie_inside_and_outside(
    form: Sampling, reach: float
) -> None:
    attention = filled(SparseSamplingAttention(24, 3, 4, (3, 5)))
    tokens = wave(2, 15, 24)
    with torch.no_grad(), sampling_by(attention, form):
        attention.get_parameter("sampling_offsets.weight").mul_(reach)
        found = attention(tokens).numpy()
    expected = [sparse(weights_of(attention), 3, (3, 5), sample) for sample in tokens.numpy()]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_sampling_attention_has_the_same_gradients_in_both_forms() -> None:
    attention = filled(SparseSamplingAttention(24, 3, 4, (3, 5)))
    gradients = []
    for form in ("table", "grid"):
        attention.zero_grad()
        with sampling_by(attention, form):
            attention(wave(2, 15, 24)).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in attention.parameters()])  # type: ignore[union-attr]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-9)


def test_full_attention_is_that_of_the_formula_when_the_heads_do_not_divide_the_width() -> None:
    attention = filled(FullAttention(25, 3))
    tokens = wave(1, 7, 25)
    with torch.no_grad():
        found = attention(tokens)[0].numpy()
    np.testing.assert_allclose(found, full(weights_of(attention), 3, tokens[0].numpy()), atol=1e-12)


def test_spatial_branch_is_that_of_the_formulas() -> None:
    encoder = filled(SpatialViT(TINY, Window(5, 7, 10, patch=2)))
    weights, cube = weights_of(encoder), wave(1, 5, 7, 10)
    pixels, kernel = cube[0].numpy(), weights["patch_embed.proj.weight"]
    tokens = np.array(
        [
            np.tensordot(kernel, pixels[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2], 3)
            for row in range(3)
            for column in range(5)
        ]
    )
    tokens = tokens + weights["patch_embed.proj.bias"] + weights["pos_embed"][0]
    with torch.no_grad():
        features = encoder(cube)
    for feature, expected in zip(features, depths(weights, (3, 5), tokens), strict=True):
        np.testing.assert_allclose(feature[0].flatten(1).T.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("bands", [7, 20])
def test_spectral_branch_is_that_of_the_formulas(bands: int) -> None:
    encoder = filled(SpectralViT(TINY, Window(bands, 6, 4, patch=1), tokens=9, outputs={0: "l1", 2: "", 3: ""}))
    weights, cube = weights_of(encoder), wave(1, bands, 6, 4)
    images = cube[0].flatten(1).numpy()
    ends = [(j * bands // 9, -(-(j + 1) * bands // 9)) for j in range(9)]
    tokens = linear(weights, "spat_map", np.array([images[first:last].mean(0) for first, last in ends]))
    found = depths(weights, (3, 3), tokens + weights["pos_embed"][0])
    with torch.no_grad():
        outputs = encoder(cube)
    for output, expected in zip(outputs, (linear(weights, "l1", found[0]), found[2], found[3]), strict=True):
        np.testing.assert_allclose(output[0].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("bands", "tokens"), [(30, 100), (200, 100), (224, 144), (5, 36), (100, 100)])
def test_pooling_is_torchs_adaptive_average(bands: int, tokens: int) -> None:
    cube = wave(2, bands, 11)
    expected = nn.functional.adaptive_avg_pool1d(cube.transpose(1, 2), tokens).transpose(1, 2)
    torch.testing.assert_close(BandPooling(bands, tokens).double()(cube), expected, atol=1e-14, rtol=0)


def test_enhancement_weighs_each_channel_by_the_spectral_branch() -> None:
    module = filled(SpectralEnhancement(9, 4, 6))
    spatial, spectral, weights = wave(1, 6, 2, 3), wave(1, 9, 8), weights_of(module)
    hidden = np.maximum(linear(weights, "0", spectral[0].mean(1).numpy()), 0)
    factors = 1 + 1 / (1 + np.exp(-linear(weights, "2", hidden)))
    with torch.no_grad():
        found = module(spatial, spectral)[0].numpy()
    np.testing.assert_allclose(found, spatial[0].numpy() * factors[:, None, None], atol=1e-14)


def test_the_mean_of_a_doubled_feature_is_known_before_it_is_doubled() -> None:
    neck, feature = filled(Doubling(6)), wave(2, 6, 3, 5)
    with torch.no_grad():
        torch.testing.assert_close(neck.average(feature), neck(feature).mean((2, 3)))  # type: ignore[operator]


def test_autoencoder_predicts_only_what_it_did_not_see() -> None:
    network = filled(SpatialAutoencoder(TINY, Window(3, 8, 8, patch=2)))
    cube = wave(1, 3, 8, 8)
    assert isinstance(network, SpatialAutoencoder)
    order = network.shuffled(1, torch.Generator().manual_seed(0))
    seen = order[0, :4].tolist()
    patches = [
        cube[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] for row in range(4) for column in range(4)
    ]
    expected = torch.stack([patch.permute(1, 2, 0).flatten() for patch in patches])
    torch.testing.assert_close(network.targets(cube)[0], expected)
    with torch.no_grad():
        before = network(cube, order)
        tokens = network.embed(cube)[:, seen]
        for part in network.blocks:
            tokens = part(tokens)
        errors = (network.decode(network.norm(tokens), order)[0] - expected).square().mean(1)
    hidden = [token for token in range(16) if token not in seen]
    torch.testing.assert_close(before, errors[hidden].mean())
