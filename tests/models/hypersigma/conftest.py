"""The published facts about the networks, where they are at hand, and small networks with weights by rule."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.hypersigma.sizes import Size

TINY = Size(width=24, depth=4, heads=3, interval=2, outputs=(0, 1, 2, 3), points=4)


@pytest.fixture(scope="session")
def papers() -> Path:
    """The folder of key lists and golden values of the official networks."""
    data = os.environ.get("EDGEFED_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data"
    folder = Path(data).parent / "papers" / "hypersigma"
    if not folder.is_dir():
        pytest.skip(f"the official key lists and golden values are not in {folder}")
    return folder


def filled(module: nn.Module) -> nn.Module:
    """float64 weights by rule: 0.1 sin(0.37 j + i) at flat index j of the i-th tensor by name; norms around 1."""
    tensors = module.double().eval().state_dict()
    with torch.no_grad():
        for number, key in enumerate(sorted(tensors)):
            values = 0.1 * torch.sin(0.37 * torch.arange(tensors[key].numel(), dtype=torch.float64) + number)
            around = 1.0 if ".norm" in key and key.endswith("weight") else 0.0
            tensors[key].copy_(around + values.reshape(tensors[key].shape))
    return module


def wave(*shape: int) -> Tensor:
    """sin(0.01 j) at flat index j, float64."""
    return torch.sin(0.01 * torch.arange(torch.Size(shape).numel(), dtype=torch.float64)).reshape(shape)
