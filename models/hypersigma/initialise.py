"""Random weights as the published recipe draws them, for a whole network or for what a checkpoint leaves open."""

from __future__ import annotations

from math import sqrt

import torch
from torch import nn

from models.hypersigma.block import Block
from models.hypersigma.networks import Plan, outline
from models.hypersigma.pretraining import MaskedAutoencoder
from models.hypersigma.spatial import SpatialViT
from models.hypersigma.spectral import SpectralViT


def fresh(plan: Plan, *, seed: int, complete: bool = False) -> nn.Module:
    """A network with random weights on the CPU; the same seed gives the same weights.

    Args:
        plan: what to build.
        seed: of the weights.
        complete: whether to carry what the official network has and does not use.
    """
    network = outline(plan, complete=complete)
    initialise(network, seed=seed)
    return network


def initialise(network: nn.Module, *, seed: int) -> None:
    """Draws all weights that lie on the `meta` device; what has its weights stays as it is.

    Layers of the transformers are drawn with deviation 0.02 and no bias, and the last layer of the two parts of block
    l is divided by sqrt(2 l). All else is drawn as torch does.

    Args:
        network: any of HyperSIGMA.
        seed: of the weights; torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        drawn = {module for module in network.modules() if _materialised(module)}
        for encoder in network.modules():
            if isinstance(encoder, SpatialViT | SpectralViT | MaskedAutoencoder):
                _draw_encoder(encoder, drawn)


def _materialised(module: nn.Module) -> bool:
    """Gives a module of `meta` tensors memory and torch's own first weights."""
    tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    if not any(tensor.is_meta for tensor in tensors):
        return False
    module.to_empty(device="cpu", recurse=False)
    for tensor in module.parameters(recurse=False):
        tensor.zero_()  # what is carried under an official name and never used stays so
    if callable(reset := getattr(module, "reset_parameters", None)):
        reset()
    return True


def _draw_encoder(encoder: nn.Module, drawn: set[nn.Module]) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.Linear) and module in drawn:
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for blocks in encoder.children():
        if isinstance(blocks, nn.ModuleList):
            for depth, block in enumerate(blocks, start=1):
                assert isinstance(block, Block)
                for last in (block.attn.get_submodule("proj"), block.mlp.fc2):
                    if last in drawn:
                        last.get_parameter("weight").div_(sqrt(2 * depth))
