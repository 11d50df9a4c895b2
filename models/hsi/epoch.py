"""The training loop: one pass over labelled windows, step by step.

n windows of c components and side s, k classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

Change = Callable[[Tensor], Tensor]
"""Windows (b, c, s, s) to what the network gets to see of them."""


class Pull(Protocol):
    """Something besides the loss that draws on the weights."""

    def add_gradient(self) -> None:
        """Adds its gradient to that of the loss."""


def epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    windows: Tensor,
    labels: Tensor,
    steps: int,
    generator: Generator,
    *,
    change: Change,
    pull: Pull | None = None,
) -> Iterator[float]:
    """Each step's loss; the step is taken when its loss is asked for, and who stops asking ends the pass.

    Args:
        network: windows to logits (b, k); it is changed.
        optimiser: of its parameters.
        windows: (n, c, s, s), at least two.
        labels: (n,) classes from 0.
        steps: of the optimiser, at most n / 2.
        generator: of the order of the windows.
        change: of each batch.
        pull: besides the cross-entropy.
    """
    network.train()
    # As equal as they can be: normalisation needs two windows, and one of few would count as much as one of many.
    for chosen in torch.randperm(len(labels), generator=generator).tensor_split(steps):
        loss = functional.cross_entropy(network(change(windows[chosen])), labels[chosen])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        if pull is not None:
            pull.add_gradient()
        optimiser.step()
        yield loss.item()
