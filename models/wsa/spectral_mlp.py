"""A small network that looks at a pixel's spectrum alone: what windows are worth shows against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

_HIDDEN = (64, 32)


def build(bands: int, classes: int, weights: Mapping[str, Path]) -> nn.Module:
    """Two hidden layers; windows are (n, bands, 1, 1). It starts from no weights file."""
    del weights
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(bands, _HIDDEN[0]),
        nn.ReLU(),
        nn.Linear(_HIDDEN[0], _HIDDEN[1]),
        nn.ReLU(),
        nn.Linear(_HIDDEN[1], classes),
    )
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return network
