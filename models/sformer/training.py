"""Training an SFormer.

What is random in an epoch follows from the seed and the epoch's number, so that training goes on after a break as if
there had been none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from models.hsi.epoch import epoch
from models.method import Report, derive_seed
from models.sformer.augmentation import turned
from models.sformer.network import SFormer
from models.sformer.recipe import Recipe


@dataclass
class Training:
    """A network on its way.

    Attributes:
        network: changes in place.
        optimiser: of its parameters.
        recipe: of the training.
        epoch: how many are done.
    """

    network: SFormer
    optimiser: torch.optim.AdamW
    recipe: Recipe
    epoch: int = 0


def begin(network: SFormer, recipe: Recipe) -> Training:
    """Training of a network that starts from the weights it has."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    return Training(network, torch.optim.AdamW(network.parameters(), rate, weight_decay=decay), recipe)


def train(
    network: SFormer,
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    recipe: Recipe,
    *,
    seed: int,
    report: Report = lambda stage, step, steps: None,
) -> list[float]:
    """Trains the network in place; the mean loss of each epoch.

    Args:
        network: starts from the weights it has.
        windows: (n, c, s, s), at least two.
        labels: (n,) classes from 0.
        recipe: of the training.
        seed: of what is random.
        report: told after each epoch.
    """
    training = begin(network, recipe)
    losses = []
    while training.epoch < recipe.epochs:
        losses.append(train_epoch(training, windows, labels, seed=seed))
        report("training", training.epoch, recipe.epochs)
    return losses


def train_epoch(training: Training, windows: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int) -> float:
    """One pass over windows (n, c, s, s) and their classes (n,) from 0; its mean loss."""
    generator = Generator().manual_seed(derive_seed(seed, "epoch", training.epoch))
    recipe, losses = training.recipe, list[float]()
    steps = max(1, min(round(len(labels) / recipe.batch), len(labels) // 2))
    taken = epoch(
        training.network, training.optimiser, torch.from_numpy(windows), torch.from_numpy(labels), steps, generator,
        change=lambda batch: turned(batch, generator),
    )  # fmt: skip
    for step in range(steps):
        rate = learning_rate(recipe, training.epoch + step / steps)
        for group in training.optimiser.param_groups:
            group["lr"] = rate
        losses.append(next(taken))
    training.epoch += 1
    return float(np.mean(losses))


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """What the learning rate is after so many epochs, counted in fractions."""
    if epoch < recipe.warm_up:
        # The first step moves already.
        return recipe.learning_rate * (epoch + 0.1) / (recipe.warm_up + 0.1)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (epoch - recipe.warm_up) / max(recipe.epochs - recipe.warm_up, 1)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def to_arrays(training: Training) -> dict[str, NDArray[np.generic]]:
    """All that is needed to go on: weights, moments of the optimiser, and the epoch."""
    arrays: dict[str, NDArray[np.generic]] = {"epoch": np.array([training.epoch])}
    for name, value in training.network.state_dict().items():
        arrays[f"network.{name}"] = value.numpy().copy()
    for index, state in training.optimiser.state_dict()["state"].items():
        for name, value in state.items():
            arrays[f"optimiser.{index}.{name}"] = value.numpy().copy()
    return arrays


def restore(training: Training, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Puts what `to_arrays` gave into a training of the same network and recipe."""
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    network = {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
    training.network.load_state_dict(network)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, part = name.split(".")
            state.setdefault(int(index), {})[part] = value
    groups = training.optimiser.state_dict()["param_groups"]
    training.optimiser.load_state_dict({"state": state, "param_groups": groups})
    training.epoch = int(tensors["epoch"])
