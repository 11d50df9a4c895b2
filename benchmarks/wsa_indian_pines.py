"""WSA against FedAvg and its peers on Indian Pines: four sites, a quadrant each, of alike and of unlike recipes.

    python -m benchmarks.wsa_indian_pines [--settings alike unlike ...] [--seeds 0 1 2] [--network sformer-small]

16 rounds; a recipe is one epoch of AdamW at 2e-3 with a decay of 1e-2 unless the setting says otherwise. A seed draws
the split, the network's start and the order of the steps, alike for all methods. By default no test window shares a
pixel with a training window; `--split random` is for comparison with papers.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.indian_pines import quadrants
from benchmarks.wsa_digits import print_table
from benchmarks.wsa_federation import FEDAVG, FEDNOVA, HARD, Contender, federate, fedprox, predicted, wsa
from models.hsi.accuracy import accuracy
from models.wsa.networks import NETWORKS
from models.wsa.settings import Settings, Training

ROUNDS = 16
RECIPE: Final = Training(learning_rate=2e-3, weight_decay=1e-2, epochs=1, batch=32)
SGD: Final = Training(optimiser="sgd", learning_rate=0.02, weight_decay=1e-4, epochs=1, batch=32)

_UNLIKE: Final[list[dict[str, Any]]] = [
    {"learning_rate": 2e-3, "weight_decay": 1e-2, "epochs": 1},
    {"learning_rate": 5e-4, "weight_decay": 1e-4, "epochs": 3},
    {"learning_rate": 5e-3, "weight_decay": 1.0, "epochs": 1},
    {"learning_rate": 2e-3, "weight_decay": 3.0, "epochs": 2},
]
SETTINGS: Final = {
    "alike": [RECIPE] * 4,
    "unlike": [replace(RECIPE, **change) for change in _UNLIKE],
    "sgd, alike": [SGD] * 4,
    "sgd, decay": [replace(SGD, weight_decay=float(decay)) for decay in np.geomspace(1e-4, 0.2, 4)],
    "optimiser": [RECIPE, SGD, RECIPE, replace(SGD, weight_decay=0.05)],
}
CONTENDERS: Final = {
    "FedAvg": FEDAVG,
    "WSA, fused, λ 10": wsa("fused", 10),
    "WSA, init, λ 10": wsa("init", 10),
    "FedProx, μ 0.1": fedprox(0.1),
    "FedNova": FEDNOVA,
    "hard alignment": HARD,
}


def run(contender: Contender, setting: str, options: argparse.Namespace, seed: int) -> tuple[float, float]:
    """OA of the last global model on the whole scene's test pixels, and the scopes' spread in the last round."""
    with tempfile.TemporaryDirectory() as scratch:
        sites, test = quadrants(options.split, NETWORKS[options.network].window, seed, Path(scratch))
    settings = Settings(classes=test.class_names, network=options.network, init_seed=seed)
    recipes = dict(zip(sites, SETTINGS[setting], strict=True))
    model, spreads = federate(contender, settings, sites, recipes, options.rounds, seed)
    found = accuracy(*predicted(settings, model, test), test.class_names)
    logging.info("%s %s seed %d: OA %.3f AA %.3f kappa %.3f", setting, contender, seed, found.oa, found.aa, found.kappa)
    return found.oa, float(spreads[-1])


def main() -> None:
    """Prints a table for each setting, and one JSON document as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_indian_pines", description=__doc__)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--methods", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--network", default="sformer-small", choices=list(NETWORKS))
    parser.add_argument("--split", default="disjoint", choices=["disjoint", "random"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    document = {}
    for setting in options.settings:
        found = {
            name: np.array([run(CONTENDERS[name], setting, options, seed) for seed in options.seeds])
            for name in options.methods
        }
        print(f"\n{setting}: {options.network}, {options.split} split, {len(options.seeds)} seeds\n")
        print_table(found)
        document[setting] = {name: runs.tolist() for name, runs in found.items()}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
