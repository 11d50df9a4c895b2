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
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.digits_sites import CLASSES, deal
from benchmarks.wsa_federation import FEDAVG, FEDNOVA, HARD, Contender, Recipes, federate, fedprox, predicted, wsa
from models.wsa.settings import Bands, Settings, Training

SITES, ROUNDS, STEPS, ALPHA = 5, 10, 20, 0.1
RECIPE: Final = Training(optimiser="sgd", learning_rate=0.05, weight_decay=1e-4, steps=STEPS, batch=32)

CONTENDERS: Final = {
    "FedAvg": FEDAVG,
    "WSA, init, λ 10": wsa("init", 10),
    "WSA, fused, λ 10": wsa("fused", 10),
    "WSA, init, λ 30": wsa("init", 30),
    "FedProx, μ 0.1": fedprox(0.1),
    "FedProx, μ 0.3": fedprox(0.3),
    "FedNova": FEDNOVA,
    "hard alignment": HARD,
}
SETTINGS: Final = {
    "decay": ("weight_decay", np.geomspace(1e-4, 0.2, SITES)),
    "rate": ("learning_rate", np.geomspace(0.01, 0.1, SITES)),
    "work": ("steps", np.geomspace(5, 80, SITES).round().astype(int)),
    "control": ("weight_decay", np.full(SITES, 1e-4)),
}


def recipes(setting: str) -> Recipes:
    """Site -> its recipe."""
    key, values = SETTINGS[setting]
    return {f"site-{index}": replace(RECIPE, **{key: value}) for index, value in enumerate(values.tolist())}


def run(contender: Contender, by_site: Recipes, seed: int) -> tuple[float, float]:
    """Test accuracy of the last global model, and the spread of the sites' scopes in the last round."""
    with tempfile.TemporaryDirectory() as scratch:
        sites, test = deal(SITES, ALPHA, seed, Path(scratch))
    settings = Settings(classes=CLASSES, network="spectral-mlp", init_seed=seed, bands=Bands(components=None))
    model, spreads = federate(contender, settings, sites, by_site, ROUNDS, seed)
    truth, found = predicted(settings, model, test)
    return float((truth == found).mean()), float(spreads[-1])


def main() -> None:
    """Prints a table for each setting, and one JSON document as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_digits", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    document = {}
    for setting in SETTINGS:
        found = {
            name: np.array([run(contender, recipes(setting), seed) for seed in seeds])
            for name, contender in CONTENDERS.items()
        }
        print(f"\n{setting}: {len(seeds)} seeds\n")
        print_table(found)
        document[setting] = {name: runs.tolist() for name, runs in found.items()}
    print(json.dumps(document))


def print_table(found: dict[str, np.ndarray]) -> None:
    """Rows of docs/wsa.md: of each method (n, 2) accuracies and spreads, paired with FedAvg's."""
    base = found["FedAvg"]
    print("| method | accuracy | to FedAvg, points | seeds won | scope spread | ratio |\n|---|---|---|---|---|---|")
    for name, runs in found.items():
        gain, spread = 100 * (runs[:, 0] - base[:, 0]), runs[:, 1].mean()
        print(
            f"| {name} | {runs[:, 0].mean():.3f} ± {runs[:, 0].std():.3f} | {gain.mean():+.1f} ± {gain.std():.1f} "
            f"| {(gain > 0).sum()}/{len(gain)} | {spread:.1%} | {spread / base[:, 1].mean():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
