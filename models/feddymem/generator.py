"""The memory generator: a residual 1x1 map of patch features, learned at a site and kept there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.method import Arrays


class MemoryGenerator(nn.Module):
    """g(x) = (x + W x + b) / |x + W x + b| with W and b zero at the start: the identity on features of length 1.

    Args:
        width: d, of a patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Linear(width, width)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)

    def forward(self, patches: Tensor) -> Tensor:
        """(n, d) float32 to the same, of length 1."""
        return functional.normalize(patches + self.residual(patches), dim=1)


def apply(generator: MemoryGenerator | None, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """The generator on arrays (n, d); without one the patches as they are."""
    if generator is None:
        return patches
    with torch.inference_mode():
        mapped: NDArray[np.float32] = generator(torch.from_numpy(patches)).numpy()
    return mapped


def generator_to_arrays(generator: MemoryGenerator | None) -> dict[str, NDArray[np.generic]]:
    """What a site keeps of its generator; nothing where there is none."""
    if generator is None:
        return {}
    return {f"generator.{name}": tensor.numpy() for name, tensor in generator.residual.state_dict().items()}


def generator_from_arrays(arrays: Arrays, width: int) -> MemoryGenerator | None:
    """The generator in a site's arrays, or None where they hold none."""
    if "generator.weight" not in arrays:
        return None
    generator = MemoryGenerator(width)
    tensors = {name: torch.from_numpy(np.array(arrays[f"generator.{name}"])) for name in ("weight", "bias")}
    generator.residual.load_state_dict(tensors)
    return generator.eval()
