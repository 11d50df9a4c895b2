"""A trained network of windows as a plain function of arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

_AT_ONCE: Final = 32  # what attention makes of more windows does not stay in the cache


def logits(network: nn.Module, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows (n, c, s, s), n at least 1, to logits (n, k), in evaluation mode whatever mode the network is in."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        # Copies: torch takes no view that cannot be written to.
        parts = (np.array(windows[start : start + _AT_ONCE]) for start in range(0, len(windows), _AT_ONCE))
        found = np.concatenate([network(torch.from_numpy(part)).numpy() for part in parts])
    network.train(training)
    return found
