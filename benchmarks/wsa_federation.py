"""A federation of sites with unlike recipes in one process, by the method's own functions or a peer's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.wsa_peers import ProximalPull, aligned_hard, momentum_steps, normalised
from models.hsi.scene import Scene
from models.method import Arrays, SiteData, Update, derive_seed
from models.wsa.classifier import Classifier
from models.wsa.first_round import published_projection
from models.wsa.local import arrays_of, first_network, load, local_update
from models.wsa.method import WSA
from models.wsa.networks import NETWORKS
from models.wsa.pixels import examples, labelled_scenes
from models.wsa.published import SPREAD, weights_of
from models.wsa.settings import Alignment, Settings, Target, Training
from models.wsa.training import train

Recipes = Mapping[str, Training]

Combine = Callable[[Arrays, Sequence[Update], Recipes], Sequence[Update]]


@dataclass(frozen=True)
class Plight:
    """What befalls some sites besides their recipes.

    Attributes:
        behind: site -> by how many rounds the model is old that it trains from.
        coarse: sites whose weights have only 8 bits a tensor, as of a quantised checkpoint.
    """

    behind: Mapping[str, int] = field(default_factory=dict)
    coarse: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Contender:
    """A way to train together.

    Attributes:
        alignment: of WSA; off is FedAvg.
        proximal: FedProx's μ, 0 without it.
        combine: what is done to the updates before they are averaged.
    """

    alignment: Alignment = field(default_factory=lambda: Alignment(mode="off"))
    proximal: float = 0.0
    combine: Combine = lambda previous, updates, recipes: updates


def wsa(target: Target, strength: float) -> Contender:
    """WSA from the first round on."""
    return Contender(Alignment(mode="always", target=target, strength=strength))


def _nova(previous: Arrays, updates: Sequence[Update], recipes: Recipes) -> Sequence[Update]:
    lengths = {update.site: _length(recipes[update.site], update.weight) for update in updates}
    return normalised(previous, updates, lengths)


def _length(recipe: Training, pixels: float) -> float:
    steps = recipe.steps or recipe.epochs * max(1, int(pixels) // recipe.batch)
    return momentum_steps(steps, recipe.momentum if recipe.optimiser == "sgd" else 0.0)


FEDAVG: Final = Contender()
FEDNOVA: Final = Contender(combine=_nova)
HARD: Final = Contender(combine=lambda previous, updates, recipes: aligned_hard(updates))


def fedprox(strength: float) -> Contender:
    """FedProx with so large a μ."""
    return Contender(proximal=strength)


def federate(
    contender: Contender, settings: Settings, sites: Mapping[str, SiteData], recipes: Recipes, rounds: int, seed: int,
    plight: Plight | None = None,
) -> tuple[Arrays, NDArray[np.float64]]:  # fmt: skip
    """The last global model, and the mean spread of the sites' scopes in each of the rounds that train."""
    settings = replace(settings, alignment=contender.alignment)
    plight, models, spreads = plight or Plight(), list[Arrays](), []
    for number in range(1, rounds + 2):  # the first round is the projection's
        updates: Sequence[Update] = [
            _update(replace(settings, training=recipes[site]), contender.proximal, data,
                    _known(models, plight.behind.get(site, 0)), derive_seed(seed, number, site))
            for site, data in sites.items()
        ]  # fmt: skip
        if models:
            updates = [_coarse(update) if update.site in plight.coarse else update for update in updates]
            updates = contender.combine(models[-1], updates, recipes)
        models.append(WSA.aggregate(settings, _known(models, 0), updates, seed).arrays)
        if number > 1:
            spreads.append(float(models[-1][SPREAD].astype(np.float64).mean()))
    return models[-1], np.array(spreads)


def predicted(settings: Settings, model: Arrays, scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The true and the predicted classes, from 1, of a scene's labelled pixels."""
    data, side = SiteData([], "", {}, Path(), "test", (scene,)), NETWORKS[settings.network].window
    windows, labels = examples(labelled_scenes(settings, data), published_projection(model), side)
    return labels + 1, Classifier(settings, model, {}).classes(windows).astype(np.int64)


def _update(settings: Settings, proximal: float, data: SiteData, model: Arrays | None, seed: int) -> Update:
    if not proximal or model is None:
        result = local_update(settings, data, model, {}, seed, _quiet)
        return Update(data.site, result.weight, result.update)
    side = NETWORKS[settings.network].window
    windows, labels = examples(labelled_scenes(settings, data), published_projection(model), side)
    network = first_network(settings, windows.shape[1], data)
    load(network, weights_of(model))
    pull = ProximalPull(network, proximal)
    train(network, windows, labels, settings.training, pull, derive_seed(seed, "training"), _quiet)
    return Update(data.site, float(len(labels)), arrays_of(network))


def _known(models: Sequence[Arrays], behind: int) -> Arrays | None:
    """The model that a site has after so many rounds; at least the first round's, without which nobody trains."""
    return models[max(0, len(models) - 1 - behind)] if models else None


def _coarse(update: Update) -> Update:
    arrays = {}
    for name, array in update.arrays.items():
        step = np.abs(array).max() / 127 or 1.0
        arrays[name] = (np.round(array / step) * step).astype(np.float32)
    return replace(update, arrays=arrays)


def _quiet(stage: str, step: int, steps: int) -> None:
    """Benchmarks show no progress."""
