"""A site's training in a round."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.hsi.epoch import Pull, epoch
from models.method import Report
from models.sformer.augmentation import turned
from models.wsa.settings import Training

_LEAST: Final = 0.02  # of the learning rate: a job that goes on after its last round still learns


def train(
    network: nn.Module,
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    recipe: Training,
    pull: Pull | None,
    seed: int,
    report: Report,
) -> float:
    """Trains the network in place; the mean loss of the last epoch.

    Args:
        network: windows to logits (n, k).
        windows: (n, c, s, s), at least two.
        labels: (n,) classes from 0.
        recipe: of the training.
        pull: besides the loss.
        seed: of the order of the windows, their turning, and what is random in the network.
        report: told after each step.
    """
    torch.manual_seed(seed)  # of dropout, which takes no generator
    random = torch.Generator().manual_seed(seed)
    inputs, truth = torch.from_numpy(windows), torch.from_numpy(labels)
    optimiser = _optimiser(network, recipe)
    per_epoch = max(1, len(labels) // recipe.batch)
    steps = recipe.steps or recipe.epochs * per_epoch
    losses: list[float] = []

    def change(batch: Tensor) -> Tensor:
        return turned(batch, random) if recipe.augment else batch

    while len(losses) < steps:
        taken = epoch(network, optimiser, inputs, truth, per_epoch, random, change=change, pull=pull)
        for loss in islice(taken, steps - len(losses)):
            losses.append(loss)
            report("training", len(losses), steps)
    return float(np.mean(losses[-per_epoch:]))


def slowed(recipe: Training, trained: int) -> Training:
    """The recipe of a round, after so many rounds of training."""
    if recipe.cosine_rounds is None:
        return recipe
    share = (1 + math.cos(math.pi * min(trained / recipe.cosine_rounds, 1))) / 2
    return replace(recipe, learning_rate=recipe.learning_rate * max(share, _LEAST))


def _optimiser(network: nn.Module, recipe: Training) -> torch.optim.Optimizer:
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), rate, momentum=recipe.momentum, weight_decay=decay)
    return torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
