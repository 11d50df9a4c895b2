"""Patch features: what a backbone says about each small region of an image, as vectors of length 1.

Letters: b images, s the job's image size, (gh, gw) the patch grid, d features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.backbones.registry import BACKBONES, load_network
from models.pixels import resized

_BATCH = 2  # larger batches are slower: they spend the time on fresh memory pages


class PatchFeatures(nn.Module):
    """A backbone's stages, each averaged over 3x3 neighbours, brought to the finest stage's grid and to length 1.

    The concatenation is divided by the root of the number of stages, so a patch has length 1. Normalising needs no
    statistics of the data: the same image has the same features at every site.

    Args:
        backbone: name in `BACKBONES`.
        stages: which, finest first.
        weights: the backbone's file.

    Raises:
        Unusable: the weights file does not fit, see `load_network`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str, stages: Sequence[str], weights: Path) -> None:
        super().__init__()
        entry = BACKBONES[backbone]
        self._parts = nn.ModuleDict(_until(load_network(backbone, weights), stages[-1]))
        self._wanted = tuple(stages)
        self.register_buffer("mean", torch.tensor(entry.mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(entry.std).reshape(3, 1, 1))
        self.widths = stage_widths(backbone, stages)
        # With the channels last convolutions take about two thirds of the time.
        nn.Module.to(self, memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from its stubs
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3, s, s) pixels from 0 to 255 to (b, gh, gw, d) float32."""
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        for name, part in self._parts.items():
            x = part(x)
            if name in self._wanted:
                pooled = functional.avg_pool2d(x, 3, 1, 1)
                grid = found[0].shape[-2:] if found else pooled.shape[-2:]
                if pooled.shape[-2:] != grid:
                    pooled = functional.interpolate(pooled, grid, mode="bilinear", align_corners=False)
                found.append(functional.normalize(pooled, dim=1))
        patches: Tensor = torch.cat(found, dim=1).permute(0, 2, 3, 1) / len(found) ** 0.5
        return patches


def stage_widths(backbone: str, stages: Sequence[str]) -> tuple[int, ...]:
    """Features that each stage gives; d is their sum."""
    return tuple(BACKBONES[backbone].widths[stage] for stage in stages)


def extract(features: PatchFeatures, images: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.float16]:
    """Features (b, gh, gw, d) of images (h, w, 3) uint8, a few at a time: memory does not grow with b.

    float16 also where nothing is stored, so that an image scores the same from the cache and from the camera.
    """
    with torch.inference_mode():
        parts = [
            features(_planes(images[start : start + _BATCH], size)).to(torch.float16).numpy()
            for start in range(0, len(images), _BATCH)
        ]
    return np.concatenate(parts)


def _planes(images: Sequence[NDArray[np.uint8]], size: int) -> Tensor:
    return torch.from_numpy(resized(images, size)).permute(0, 3, 1, 2)


def _until(network: nn.Module, last: str) -> dict[str, nn.Module]:
    """The stages up to the last one needed; the rest of the network is let go."""
    parts: dict[str, nn.Module] = {}
    for name, part in network.stages().items():  # type: ignore[operator]  # every entry of BACKBONES has stages()
        parts[name] = part
        if name == last:
            break
    return parts
