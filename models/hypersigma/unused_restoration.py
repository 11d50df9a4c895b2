"""What the official networks of denoising and super-resolution carry and do not use."""

from __future__ import annotations

from torch import nn

from models.hypersigma.block import sampling_blocks
from models.hypersigma.sizes import Window
from models.hypersigma.spectral import SUMMARY, crossed
from models.hypersigma.unused import carry, with_bias

_WIDTH = 180
"""Of a small transformer in the official spatial encoder that its adapter took the place of."""


def carry_restoration(
    network: nn.Module, width: int, window: Window, tokens: int, *, positions: bool, doubled: bool
) -> None:
    """Registers the unused tensors of a whole network.

    Args:
        network: with `spat_encoder`, `spec_encoder`, `adapter` and `adapter_spec`.
        width: E.
        window: the cubes.
        tokens: T of the spectral branch.
        positions: whether the network has position embeddings.
        doubled: whether the spatial encoder's `up1` is used.
    """
    bands, places = window.bands, window.pixels
    doubling = {"up1.weight": (width, width, 2, 2), "up1.bias": (width,)}
    norm = {"norm.weight": (width,), "norm.bias": (width,)}
    spatial = norm | _three("conv1_reconstruct", _WIDTH, width) | _three("conv2_reconstruct", bands, _WIDTH)
    spatial |= _three("conv3_reconstruct", bands, 2 * bands) | _three("conv_head", bands, bands)
    spatial |= _three("conv_tail", bands, bands) | with_bias("patch_embed_add.proj", _WIDTH, width, 1, 1)
    adapter = norm | doubling | with_bias("patch_embed.proj", width, bands, 1, 1)
    for name in ("conv1_reconstruct", "conv2_reconstruct", "conv_head"):
        adapter |= _three(name, bands, bands)
    both = crossed(tokens, 1) | _three("conv_head", bands, bands) | _three("conv1_reconstruct", bands, bands)
    spectral_adapter = both | {"norm.weight": (SUMMARY,), "norm.bias": (SUMMARY,), "l1.weight": (SUMMARY, SUMMARY)}
    spectral_adapter |= with_bias("spat_map", SUMMARY, places)
    if positions:
        spatial["pos_embed_add"] = (1, places, _WIDTH)
        adapter["pos_embed"] = (1, places, width)
        spectral_adapter["pos_embed"] = (1, tokens, SUMMARY)
    carry(network.get_submodule("spat_encoder"), spatial if doubled else spatial | doubling)
    carry(network.get_submodule("spec_encoder"), norm | both)
    carry(network.get_submodule("adapter"), adapter)
    carry(network.get_submodule("adapter_spec"), spectral_adapter)
    blocks = sampling_blocks(_WIDTH, 12, 4, interval=3, points=8, grid=window.grid)
    network.get_submodule("spat_encoder").add_module("blocks_add", blocks.requires_grad_(False))


def _three(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return with_bias(name, outputs, inputs, 3, 3)
