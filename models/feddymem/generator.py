"""The memory generator: a residual 1x1 map of patch features, learned at a site and kept there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.method import Arrays


class MemoryGenerator(nn.Module):
    """g(x) = normalise(x + W x + b), W and b zero at the start: there it is the identity on patch features.

    Normalising is that of `PatchFeatures`: each stage's part to the same length, the whole to length 1.

    Args:
        widths: features of each stage, in order; d is their sum.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.residual = nn.Linear(sum(widths), sum(widths))
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)

    def forward(self, patches: Tensor) -> Tensor:
        """(n, d) float32 to the same, of length 1."""
        return move(patches, self.residual.weight, self.residual.bias, self.widths)


def move(patches: Tensor, weight: Tensor, bias: Tensor, widths: Sequence[int]) -> Tensor:
    """What W (d, d) and b (d,) make of patches (n, d); the features of each stage, `widths`, sum to d."""
    parts = torch.split(patches + functional.linear(patches, weight, bias), list(widths), dim=1)
    moved: Tensor = torch.cat([functional.normalize(part, dim=1) for part in parts], dim=1) / len(parts) ** 0.5
    return moved


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
    tensors = {f"generator.{name}": tensor.numpy() for name, tensor in generator.residual.state_dict().items()}
    return {**tensors, "generator.widths": np.array(generator.widths, np.int64)}


def generator_from_arrays(arrays: Arrays) -> MemoryGenerator | None:
    """The generator in a site's arrays, or None where they hold none.

    Raises:
        KeyError: a part of it is missing.
        ValueError: its parts do not fit each other, or are not finite.
    """
    if "generator.weight" not in arrays:
        return None
    weight, bias, widths = (np.array(arrays[f"generator.{name}"]) for name in ("weight", "bias", "widths"))
    parts = [int(part) for part in widths.ravel()]
    shapes = (len(parts),), (sum(parts), sum(parts)), (sum(parts),)
    if (widths.shape, weight.shape, bias.shape) != shapes or not parts or min(parts) < 1:
        raise ValueError(f"a generator of the widths {parts} has no weights of the shape {weight.shape}")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError("the generator holds NaN or infinity")
    generator = MemoryGenerator(parts)
    generator.residual.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return generator.eval()
