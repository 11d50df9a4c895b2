"""Every network by the name of its task, with the cubes that the published one takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from models.hypersigma.change import ChangeDetector
from models.hypersigma.classification import PixelClassifier
from models.hypersigma.detection import AnomalyDetector, TargetDetector
from models.hypersigma.multispectral import MultispectralChangeDetector
from models.hypersigma.pretraining import SpatialAutoencoder, SpectralAutoencoder
from models.hypersigma.restoration import Denoiser, SuperResolver
from models.hypersigma.segmentation import SceneClassifier
from models.hypersigma.sizes import SIZES, Window
from models.hypersigma.unmixing import Unmixer


@dataclass(frozen=True)
class Task:
    """A network and what the published one was built for.

    Attributes:
        build: from size, window, (where `number` is not "") that number, and `complete`.
        window: the published cubes.
        number: what the network counts besides: "classes", "materials" or "scale"; "" for nothing.
        published: that number of the published network.
    """

    build: Callable[..., nn.Module]
    window: Window
    number: str = ""
    published: int = 0


TASKS: Mapping[str, Task] = {
    "spatial": Task(SpatialAutoencoder, Window(100, 64, 64, patch=8)),
    "spectral": Task(SpectralAutoencoder, Window(100, 64, 64, patch=8)),
    "classification": Task(PixelClassifier, Window(30, 33, 33, patch=2), "classes", 17),
    "segmentation": Task(SceneClassifier, Window(20, 128, 128, patch=8), "classes", 16),
    "anomaly": Task(AnomalyDetector, Window(102, 32, 32, patch=1)),
    "target": Task(TargetDetector, Window(186, 32, 32, patch=1)),
    "change": Task(ChangeDetector, Window(154, 5, 5, patch=1)),
    "unmixing": Task(Unmixer, Window(162, 64, 64, patch=2), "materials", 4),
    "denoising": Task(Denoiser, Window(191, 64, 64, patch=2)),
    "super-resolution": Task(SuperResolver, Window(48, 32, 32, patch=1), "scale", 4),
    "multispectral-change": Task(MultispectralChangeDetector, Window(13, 128, 128, patch=8)),
}
"""The first two are the pre-training networks, whose tensors the published checkpoints hold."""


@dataclass(frozen=True)
class Plan:
    """Which network to build.

    Attributes:
        task: a key of `TASKS`.
        size: a key of `SIZES`.
        window: the cubes.
        number: classes, materials or scale, where the task has one; else 0.
    """

    task: str
    size: str
    window: Window
    number: int = 0


def plan(
    task: str,
    size: str,
    *,
    bands: int | None = None,
    image: int | None = None,
    patch: int | None = None,
    number: int | None = None,
) -> Plan:
    """A plan; what is left out is as in the published network of the task.

    Raises:
        ValueError: an unknown task or size, or numbers that fit none.
    """
    if task not in TASKS:
        raise ValueError(f"HyperSIGMA has no network for {task}; there is {', '.join(TASKS)}")
    if size not in SIZES:
        raise ValueError(f"HyperSIGMA has no size {size}; there is {', '.join(SIZES)}")
    found, window = TASKS[task], TASKS[task].window
    if number is not None and not found.number:
        raise ValueError(f"the network for {task} counts neither classes nor materials and has no scale")
    window = replace(
        window,
        bands=window.bands if bands is None else bands,
        height=window.height if image is None else image,
        width=window.width if image is None else image,
        patch=window.patch if patch is None else patch,
    )
    if (number := found.published if number is None else number) < 1 and found.number:
        raise ValueError(f"{found.number} must be 1 or more, not {number}")
    return Plan(task, size, window, number)


def outline(plan: Plan, *, complete: bool = False) -> nn.Module:
    """The network on the `meta` device: every name and shape, and no memory for weights.

    Args:
        plan: what to build.
        complete: whether to carry what the official network has and does not use.
    """
    found, size = TASKS[plan.task], SIZES[plan.size]
    numbers = (plan.number,) if found.number else ()
    with torch.device("meta"):
        return found.build(size, plan.window, *numbers, complete=complete)


def key_shapes(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the official network's tensors, in the order of its state dict."""
    return {key: tuple(value.shape) for key, value in outline(plan, complete=True).state_dict().items()}
