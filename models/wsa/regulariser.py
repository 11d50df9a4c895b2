"""Weight scope regularisation: each layer's weights are drawn towards a target Gaussian.

The penalty of a layer with n weights w, mean μ and deviation σ is KL(N(μ, σ²) || N(μ*, σ*²)), and its gradient is

    dKL/dw = ((μ - μ*) / σ*² + (1 / σ*² - 1 / σ²) (w - μ)) / n

so that a layer as a whole is shifted and stretched; single weights are free, and so is their order.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from models.wsa.scope import Scopes

_CONSTANT: Final = 1e-12  # a layer that varies less is constant and has no Gaussian


class ScopeRegulariser:
    """Adds the gradient of `strength` times the penalty to a network's own.

    Closed, because the graph of two moments per layer costs more than the moments.

    Args:
        network: whose parameters have the target's names.
        target: layers that are constant in it are left alone.
        strength: λ, above 0.
    """

    def __init__(self, network: nn.Module, target: Scopes, strength: float) -> None:
        parameters = dict(network.named_parameters())
        goals = zip(target.names, target.means.tolist(), target.deviations.tolist(), strict=True)
        self._layers = [(parameters[name], *goal) for name, *goal in goals if goal[1] > _CONSTANT]
        self._strength = strength

    @torch.no_grad()
    def add_gradient(self) -> None:
        """To be called between the loss's backward pass and the optimiser's step."""
        for weight, mean, deviation in self._layers:
            if weight.grad is not None:
                weight.grad.add_(kl_gradient(weight, mean, deviation), alpha=self._strength)

    @torch.no_grad()
    def penalty(self) -> float:
        """The sum of the layers' KL divergences, without `strength`."""
        return float(sum(float(kl(weight, mean, deviation)) for weight, mean, deviation in self._layers))


def kl(weight: Tensor, mean: float, deviation: float) -> Tensor:
    """The divergence of a tensor's Gaussian from N(mean, deviation²)."""
    own_variance, own_mean = _moments(weight)
    variance = deviation**2
    return ((own_variance + (own_mean - mean) ** 2) / variance - 1 - torch.log(own_variance / variance)) / 2


def kl_gradient(weight: Tensor, mean: float, deviation: float) -> Tensor:
    """Of `kl` with respect to each weight."""
    own_variance, own_mean = _moments(weight)
    variance = deviation**2
    stretch = 1 / variance - 1 / own_variance
    return (stretch * weight + ((own_mean - mean) / variance - stretch * own_mean)) / weight.numel()


def _moments(weight: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(weight, correction=0)
    return variance.clamp_min(_CONSTANT**2), mean
