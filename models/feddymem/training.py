"""Training of the memory generator on a site's patches."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.feddymem.generator import MemoryGenerator
from models.feddymem.loss import fixed_radius, metric_loss, went_astray
from models.feddymem.settings import Generator
from models.method import Report

_BATCH = 1024  # patches
_PROBED = 4096  # patches that the radius and the final check look at; they come in random order


def train_generator(
    generator: MemoryGenerator,
    patches: NDArray[np.float32],
    rows: NDArray[np.float32],
    settings: Generator,
    seed: int,
    report: Report,
) -> tuple[MemoryGenerator, float]:
    """The generator after this round's epochs and its mean loss in the last; the one given where it went astray.

    Args:
        generator: to start from; it is not changed.
        patches: (n, d) of the site's training images, in random order.
        rows: (m, d) of the global memory, a fixed target: gradients flow to the generator only.
        settings: of the generator.
        seed: of the order of the patches.
        report: told after each step.
    """
    source, target = torch.from_numpy(patches), torch.from_numpy(rows)
    trained = copy.deepcopy(generator).train()
    loss = _descend(trained, source, target, settings, seed, report)
    trained.eval()
    with torch.inference_mode():
        before, identity = source[:_PROBED], MemoryGenerator(generator.widths)
        # Rows are shorter than 1 and the generator makes them that long; only what it does beyond counts.
        astray = went_astray(before, trained(before), identity(target), trained(target))
    return (generator if astray else trained), loss


def _descend(
    generator: MemoryGenerator, patches: Tensor, rows: Tensor, settings: Generator, seed: int, report: Report
) -> float:
    """Trains the generator in place; the mean loss of the last epoch."""
    radius = fixed_radius(patches[:_PROBED], rows)
    # Weight decay would draw the residual to zero, which the anchor already does where it matters.
    optimiser = torch.optim.AdamW(generator.parameters(), settings.learning_rate, weight_decay=0.0)
    random = torch.Generator().manual_seed(seed)
    batches = -(-len(patches) // _BATCH)
    losses: list[float] = []
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(patches), generator=random), _BATCH):
            moved, moved_rows = generator(patches[batch]), generator(rows)
            loss = metric_loss(moved, rows, moved_rows, radius, attract=settings.attract, anchor=settings.anchor)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())
            report("training", len(losses), settings.epochs * batches)
    return float(np.mean(losses[-batches:]))
