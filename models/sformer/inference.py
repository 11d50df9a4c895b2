"""A trained SFormer as a plain function of arrays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.sformer.network import SFormer


def logits(network: SFormer, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows (n, c, s, s) to logits (n, k), in evaluation mode whatever mode the network is in."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        found: NDArray[np.float32] = network(torch.from_numpy(windows)).numpy()
    network.train(training)
    return found
