"""Tensors that the official networks carry and never use, so that their files load strictly where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


def carry(module: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Registers zeros under official names; they take part in no computation and get no gradient.

    Args:
        module: of the names.
        shapes: name -> shape; dots in a name make empty modules on the way.
    """
    for name, shape in shapes.items():
        owner = module
        *path, leaf = name.split(".")
        for part in path:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        owner.register_parameter(leaf, nn.Parameter(torch.zeros(shape), requires_grad=False))


def with_bias(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a layer's weight and its bias, which has one entry for each output."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
