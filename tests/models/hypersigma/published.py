"""Files of exactly the published structure, made on the spot: real names and shapes, next to no data."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.hypersigma.networks import key_shapes, plan


def tensors(branch: str, size: str) -> dict[str, Tensor]:
    """Every tensor repeats one number of its own, so that a file of a gigabyte's shapes has a few kilobytes."""
    shapes = key_shapes(plan(branch, size)).items()
    return {key: torch.full((1,), 0.001 * (1 + number)).expand(shape) for number, (key, shape) in enumerate(shapes)}


def write(path: Path, model: Any) -> Path:
    """As the authors' script saves: the optimiser, the script's options and all."""
    state = {0: {"step": 1.0, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}}
    groups = [{"lr": 1.5e-4, "betas": (0.9, 0.95), "weight_decay": 0.05, "params": [0]}]
    content = {"model": model, "optimizer": {"state": state, "param_groups": groups}, "epoch": 1599}
    torch.save(content | {"scaler": {}, "args": Namespace(batch_size=32, mask_ratio=0.75, resume="")}, path)
    return path


def publish(folder: Path, branch: str, size: str) -> Path:
    """A whole file."""
    return write(folder / f"{branch[:4]}-vit-{size}-ultra-checkpoint-1599.pth", tensors(branch, size))
