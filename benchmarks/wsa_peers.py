"""Other remedies for sites that drift apart, as plain functions: FedProx, FedNova's normalisation, hard alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from models.method import Arrays, Update
from models.wsa.fusion import fuse
from models.wsa.merging import aligned
from models.wsa.published import weights_of
from models.wsa.scope import scopes_of


class ProximalPull:
    """FedProx (Li et al., 2020): each weight is drawn to the global model's by μ times its distance."""

    def __init__(self, network: nn.Module, strength: float) -> None:
        self._pairs = [(weight, weight.detach().clone()) for weight in network.parameters()]
        self._strength = strength

    @torch.no_grad()
    def add_gradient(self) -> None:
        """Between the loss's backward pass and the optimiser's step."""
        for weight, start in self._pairs:
            if weight.grad is not None:
                weight.grad.add_(weight - start, alpha=self._strength)


def momentum_steps(steps: int, momentum: float) -> float:
    """How far so many steps of SGD with momentum go under a constant gradient, in plain steps (FedNova's |a|)."""
    if not momentum:
        return float(steps)
    return (steps - momentum * (1 - momentum**steps) / (1 - momentum)) / (1 - momentum)


def normalised(previous: Arrays, updates: Sequence[Update], lengths: Mapping[str, float]) -> list[Update]:
    """FedNova (Wang et al., 2020) as updates whose mean is its step: each divided by its own length of work.

    Args:
        previous: the global model that all updates were made from.
        updates: of the sites.
        lengths: site -> plain steps of its work, see `momentum_steps`.
    """
    start = weights_of(previous)
    if start is None:  # the sites' common start is not published; the first round is a plain mean
        return list(updates)
    total = sum(update.weight for update in updates)
    effective = sum(update.weight / total * lengths[update.site] for update in updates)
    return [
        Update(update.site, update.weight, {
            name: start[name] + np.float32(effective / lengths[update.site]) * (array - start[name])
            for name, array in update.arrays.items()
        })
        for update in updates
    ]  # fmt: skip


def aligned_hard(updates: Sequence[Update]) -> list[Update]:
    """Uploads whose layers are shifted and stretched to the mean of the sites' scopes, after the training."""
    scopes = [scopes_of(update.arrays) for update in updates]
    target = fuse(scopes, [update.weight for update in updates], "mean")
    return [Update(update.site, update.weight, aligned(update.arrays, target)) for update in updates]
