"""WSA against FedAvg and its peers on handwritten digits, where sites differ in recipe and where they do not.

    python -m benchmarks.wsa_digits [--seeds 0 1 2 3 4 5 6 7] [--settings decay control ...] [--methods FedAvg ...]

Five sites with unlike shares of the ten digits (Dir(0.1)) train a network of 64-64-32-10 with SGD, 10 rounds of 20
steps, at a rate of 0.05 and a decay of 1e-4. In the control that is all; in the other settings the sites differ in one
thing: weight decay from 1e-4 to 0.2, learning rate from 0.01 to 0.1, work from 5 to 80 steps, the decay of one site
alone (0.2), the optimiser (AdamW at 2e-3 with a decay of 1e-2 at two sites), the age of the model that one site trains
from (3 rounds), or the precision of one site's weights (8 bits). With "small start" the network starts as PyTorch makes
it, with weights of less than half the size, and has to grow; with "pretrained" it comes from a related task. A seed
draws the sites' digits, the network's start and the order of the steps, alike for all methods: differences to FedAvg
are paired.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.digits_sites import CLASSES, deal
from benchmarks.wsa_federation import (
    FEDAVG,
    FEDNOVA,
    HARD,
    Contender,
    Plight,
    Recipes,
    federate,
    fedprox,
    predicted,
    wsa,
)
from models.wsa.networks import NETWORKS
from models.wsa.settings import Alignment, Bands, Settings, Training

SITES, ROUNDS, STEPS, ALPHA = 5, 10, 20, 0.1
RECIPE: Final = Training(optimiser="sgd", learning_rate=0.05, weight_decay=1e-4, steps=STEPS, batch=32)

CONTENDERS: Final = {
    "FedAvg": FEDAVG,
    "WSA, init, λ 10": wsa("init", 10),
    "WSA, fused, λ 10": wsa("fused", 10),
    "WSA, init, λ 30": wsa("init", 30),
    "WSA, fused, λ 1": wsa("fused", 1),
    "WSA, auto, fused, λ 1": Contender(Alignment(strength=1)),
    "WSA, auto, fused, λ 10": Contender(Alignment(strength=10)),
    "WSA, auto, init, λ 10": Contender(Alignment(strength=10, target="init")),
    "FedProx, μ 0.1": fedprox(0.1),
    "FedProx, μ 0.3": fedprox(0.3),
    "FedNova": FEDNOVA,
    "hard alignment": HARD,
}
_ADAMW: Final = {"optimiser": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2}
SETTINGS: Final[dict[str, list[dict[str, Any]]]] = {
    "decay": [{"weight_decay": decay} for decay in np.geomspace(1e-4, 0.2, SITES).tolist()],
    "rate": [{"learning_rate": rate} for rate in np.geomspace(0.01, 0.1, SITES).tolist()],
    "work": [{"steps": steps} for steps in np.geomspace(5, 80, SITES).round().astype(int).tolist()],
    "one site": [{}] * (SITES - 1) + [{"weight_decay": 0.2}],
    "optimiser": [{}, _ADAMW, {}, _ADAMW, {}],
    "age": [{}] * SITES,
    "precision": [{}] * SITES,
    "control": [{}] * SITES,
}
PLIGHTS: Final = {"age": Plight(behind={"site-4": 3}), "precision": Plight(coarse=frozenset({"site-4"}))}
STARTS: Final = {
    ", small start": "benchmarks.digits_sites:small_start",
    ", pretrained": "benchmarks.digits_sites:pretrained",
}


def recipes(setting: str) -> Recipes:
    """Site -> its recipe."""
    changes = SETTINGS[setting.partition(",")[0]]
    return {f"site-{index}": replace(RECIPE, **change) for index, change in enumerate(changes)}


def run(contender: Contender, setting: str, seed: int) -> tuple[float, float]:
    """Test accuracy of the last global model, and the spread of the sites' scopes in the last round."""
    with tempfile.TemporaryDirectory() as scratch:
        sites, test = deal(SITES, ALPHA, seed, Path(scratch))
    settings = Settings(classes=CLASSES, network="spectral-mlp", init_seed=seed, bands=Bands(components=None))
    network = NETWORKS["spectral-mlp"]
    for suffix, builder in STARTS.items():
        network = replace(network, builder=builder) if setting.endswith(suffix) else network
    with patch.dict(NETWORKS, {"spectral-mlp": network}):
        plight = PLIGHTS.get(setting)
        model, spreads = federate(contender, settings, sites, recipes(setting), ROUNDS, seed, plight)
    truth, found = predicted(settings, model, test)
    return float((truth == found).mean()), float(spreads[-1])


def main() -> None:
    """Prints a table for each setting, and one JSON document as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_digits", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    named = [*SETTINGS, *(setting + start for setting in SETTINGS for start in STARTS)]
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=named)
    parser.add_argument("--methods", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    document = {}
    for setting in options.settings:
        found = {
            name: np.array([run(CONTENDERS[name], setting, seed) for seed in options.seeds]) for name in options.methods
        }
        print(f"\n{setting}: {len(options.seeds)} seeds\n")
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
