"""Loss and accuracy of the models between two others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.method import Arrays
from models.wsa.local import load
from models.wsa.merging import How, between

_AT_ONCE = 512  # windows


class Point(NamedTuple):
    """A model on the way: where it lies, its mean cross-entropy, and its share of right pixels."""

    share: float
    loss: float
    accuracy: float


def curve(
    network: nn.Module,
    ends: tuple[Arrays, Arrays],
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    how: How,
    shares: Sequence[float],
) -> Iterator[Point]:
    """The points at the given shares of the way.

    Statistics of batch normalisation are made anew from the windows wherever models were mixed: those of two networks
    say nothing of a third.

    Args:
        network: whose tensors the ends have; it is changed.
        ends: two models.
        windows: (n, c, s, s) to measure on.
        labels: (n,) their classes from 0.
        how: models are mixed.
        shares: in [0, 1].
    """
    inputs, truth = torch.from_numpy(windows), torch.from_numpy(labels)
    for share in shares:
        load(network, between(*ends, share, how))
        if 0 < share < 1:
            refresh_statistics(network, inputs)
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(part) for part in _parts(inputs)])
            loss = nn.functional.cross_entropy(logits, truth).item()
        yield Point(share, loss, float((logits.argmax(dim=1) == truth).float().mean()))


@torch.no_grad()
def refresh_statistics(network: nn.Module, inputs: Tensor) -> None:
    """Batch normalisation's running statistics as the inputs have them; other layers stay as they are."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms or len(inputs) < 2:
        return
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    network.train()
    for part in _parts(inputs):
        network(part)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    network.eval()


def _parts(inputs: Tensor) -> Sequence[Tensor]:
    return inputs.tensor_split(-(-len(inputs) // _AT_ONCE))
