"""WSA against FedAvg and its peers on handwritten digits, where sites differ in recipe and where they do not.

    python -m benchmarks.wsa_digits [--seeds 0 1 2 3 4 5 6 7]

Five sites with unlike shares of the ten digits (Dir(0.1)) train a network of 64-64-32-10 with SGD, 10 rounds of 20
steps, at a rate of 0.05 and a decay of 1e-4. In the control that is all; in the other settings the sites differ in one
thing: weight decay from 1e-4 to 0.2, learning rate from 0.01 to 0.1, or work from 5 to 80 steps. A seed draws the
sites' digits, the network's start and the order of the steps, alike for all methods: differences to FedAvg are paired.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.digits_sites import CLASSES, deal
from benchmarks.wsa_peers import ProximalPull, aligned_hard, momentum_steps, normalised
from models.hsi.scene import Scene
from models.method import Arrays, SiteData, Update, derive_seed
from models.wsa.first_round import published_projection
from models.wsa.local import arrays_of, first_network, load, local_update
from models.wsa.method import WSA
from models.wsa.pixels import examples, labelled_scenes
from models.wsa.published import SPREAD, weights_of
from models.wsa.settings import Alignment, Bands, Settings, Target, Training
from models.wsa.training import train

SITES, ROUNDS, STEPS, ALPHA = 5, 10, 20, 0.1
RECIPE: Final = Training(optimiser="sgd", learning_rate=0.05, weight_decay=1e-4, steps=STEPS, batch=32)

Combine = Callable[[Arrays, Sequence[Update], dict[str, Training]], Sequence[Update]]


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


def _wsa(target: Target, strength: float) -> Contender:
    return Contender(Alignment(mode="always", target=target, strength=strength))


def _nova(previous: Arrays, updates: Sequence[Update], recipes: dict[str, Training]) -> Sequence[Update]:
    lengths = {site: momentum_steps(recipe.steps or 1, recipe.momentum) for site, recipe in recipes.items()}
    return normalised(previous, updates, lengths)


CONTENDERS: Final = {
    "FedAvg": Contender(),
    "WSA, init, λ 10": _wsa("init", 10),
    "WSA, fused, λ 10": _wsa("fused", 10),
    "WSA, init, λ 30": _wsa("init", 30),
    "FedProx, μ 0.1": Contender(proximal=0.1),
    "FedProx, μ 0.3": Contender(proximal=0.3),
    "FedNova": Contender(combine=_nova),
    "hard alignment": Contender(combine=lambda previous, updates, recipes: aligned_hard(updates)),
}


SETTINGS: Final = {
    "decay": ("weight_decay", np.geomspace(1e-4, 0.2, SITES)),
    "rate": ("learning_rate", np.geomspace(0.01, 0.1, SITES)),
    "work": ("steps", np.geomspace(5, 80, SITES).round().astype(int)),
    "control": ("weight_decay", np.full(SITES, 1e-4)),
}


def recipes(setting: str) -> dict[str, Training]:
    """Site -> its recipe."""
    key, values = SETTINGS[setting]
    return {f"site-{index}": replace(RECIPE, **{key: value}) for index, value in enumerate(values.tolist())}


def federate(contender: Contender, by_site: dict[str, Training], seed: int) -> tuple[float, float]:
    """Test accuracy of the last global model, and the spread of the sites' scopes in the last round."""
    with tempfile.TemporaryDirectory() as scratch:
        sites, test = deal(SITES, ALPHA, seed, Path(scratch))
    settings = Settings(
        classes=CLASSES, network="spectral-mlp", init_seed=seed, bands=Bands(components=None),
        alignment=contender.alignment,
    )  # fmt: skip
    model: Arrays | None = None
    for number in range(1, ROUNDS + 2):  # the first round is the projection's
        updates = []
        for site, data in sites.items():
            own, drawn = replace(settings, training=by_site[site]), derive_seed(seed, number, site)
            updates.append(_update(own, contender.proximal, data, model, drawn))
        if model is not None:
            updates = list(contender.combine(model, updates, by_site))
        model = WSA.aggregate(settings, model, updates, seed).arrays
    assert model is not None
    return accuracy(settings, model, test), float(model[SPREAD].astype(np.float64).mean())


def accuracy(settings: Settings, model: Arrays, test: Scene) -> float:
    """Share of a scene's labelled pixels that a global model gets right."""
    data = SiteData([], "", {}, Path(), "test", (test,))
    windows, labels = examples(labelled_scenes(settings, data), published_projection(model), 1)
    network = first_network(settings, windows.shape[1], data).eval()
    load(network, weights_of(model))
    with torch.inference_mode():
        return float((network(torch.from_numpy(windows)).argmax(dim=1).numpy() == labels).mean())


def _update(settings: Settings, proximal: float, data: SiteData, model: Arrays | None, seed: int) -> Update:
    if not proximal or model is None:
        result = local_update(settings, data, model, {}, seed, lambda stage, step, steps: None)
        return Update(data.site, result.weight, result.update)
    windows, labels = examples(labelled_scenes(settings, data), published_projection(model), 1)
    network = first_network(settings, windows.shape[1], data)
    load(network, weights_of(model))
    pull, drawn = ProximalPull(network, proximal), derive_seed(seed, "training")
    train(network, windows, labels, settings.training, pull, drawn, lambda stage, step, steps: None)
    return Update(data.site, float(len(labels)), arrays_of(network))


def main() -> None:
    """Prints a table for each setting, and one JSON document as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_digits", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    document = {}
    for setting in SETTINGS:
        found = {
            name: np.array([federate(contender, recipes(setting), seed) for seed in seeds])
            for name, contender in CONTENDERS.items()
        }
        base = found["FedAvg"]
        print(f"\n{setting}: {len(seeds)} seeds\n")
        print("| method | accuracy | to FedAvg, points | seeds won | scope spread | ratio |\n|---|---|---|---|---|---|")
        for name, runs in found.items():
            gain, spread = 100 * (runs[:, 0] - base[:, 0]), runs[:, 1].mean()
            print(
                f"| {name} | {runs[:, 0].mean():.3f} ± {runs[:, 0].std():.3f} | {gain.mean():+.1f} ± {gain.std():.1f} "
                f"| {(gain > 0).sum()}/{len(seeds)} | {spread:.1%} | {spread / base[:, 1].mean():.2f} |",
                flush=True,
            )
        document[setting] = {name: runs.tolist() for name, runs in found.items()}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
