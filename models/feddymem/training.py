"""Training of the memory generator on a site's patches."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from models.feddymem.generator import MemoryGenerator
from models.feddymem.loss import collapsed, fixed_radius, metric_loss
from models.feddymem.settings import Generator
from models.method import Report

_BATCH = 1024  # patches


def train_generator(
    generator: MemoryGenerator,
    patches: NDArray[np.float32],
    rows: NDArray[np.float32],
    settings: Generator,
    seed: int,
    report: Report,
) -> tuple[MemoryGenerator, float]:
    """The generator after this round's epochs, and its last mean loss; the one given where training collapsed.

    Args:
        generator: to start from; it is not changed.
        patches: (n, d) of the site's training images.
        rows: (m, d) of the bank, which is a fixed target: gradients flow to the generator only.
        settings: of the generator.
        seed: of the order of the patches.
        report: told after each step.
    """
    source, target = torch.from_numpy(patches), torch.from_numpy(rows)
    radius = fixed_radius(source[:4096], target)
    trained = copy.deepcopy(generator).train()
    optimiser = torch.optim.AdamW(trained.parameters(), settings.learning_rate)
    random = torch.Generator().manual_seed(seed)
    steps, step, mean = settings.epochs * -(-len(source) // _BATCH), 0, 0.0
    for _ in range(settings.epochs):
        losses = []
        for batch in torch.split(torch.randperm(len(source), generator=random), _BATCH):
            loss = metric_loss(trained(source[batch]), target, radius, settings)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())
            step += 1
            report("training", step, steps)
        mean = float(np.mean(losses))
    with torch.inference_mode():
        if collapsed(source[:4096], trained(source[:4096])):
            return generator, mean
    return trained.eval(), mean
