"""WSA against FedAvg and its peers on Indian Pines: four sites, a quadrant each, of alike and of unlike recipes.

    python -m benchmarks.wsa_indian_pines [--settings alike unlike ...] [--seeds 0 1 2 3] [--network sformer-small]

16 rounds; a recipe is one epoch of AdamW at 2e-3 with a decay of 1e-2 unless the setting says otherwise: other rates,
decays and epochs ("unlike"), SGD at 0.02 with decays from 1e-4 to 0.2 ("sgd, decay"), AdamW at two sites and SGD at two
("optimiser"), a site that always trains from a model three rounds old ("age"). A seed draws the split, the network's
start and the order of the steps, alike for all methods. By default no test window shares a pixel with a training
window; `--split random` is for comparison with papers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.indian_pines import quadrants
from benchmarks.wsa_digits import print_table
from benchmarks.wsa_federation import FEDAVG, FEDNOVA, HARD, Contender, Plight, federate, fedprox, predicted, wsa
from models.hsi.scene import Scene
from models.method import SiteData
from models.wsa.networks import NETWORKS
from models.wsa.settings import Alignment, Settings, Training

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
    "age": [RECIPE] * 4,
}
PLIGHTS: Final = {"age": Plight(behind={"field-se": 3})}
CONTENDERS: Final = {
    "FedAvg": FEDAVG,
    "WSA, fused, λ 10": wsa("fused", 10),
    "WSA, init, λ 10": wsa("init", 10),
    "WSA, auto, fused, λ 1": Contender(Alignment()),
    "FedProx, μ 0.1": fedprox(0.1),
    "FedNova": FEDNOVA,
    "hard alignment": HARD,
}


Drawn = tuple[Mapping[str, SiteData], Scene]


def run(method: str, setting: str, options: argparse.Namespace, drawn: Drawn, seed: int) -> tuple[float, float]:
    """OA of the last global model on the whole scene's test pixels, and the scopes' spread in the last round."""
    sites, test = drawn
    settings = Settings(classes=test.class_names, network=options.network, init_seed=seed)
    recipes, plight = dict(zip(sites, SETTINGS[setting], strict=True)), PLIGHTS.get(setting)
    model, spreads = federate(CONTENDERS[method], settings, sites, recipes, options.rounds, seed, plight)
    truth, found = predicted(settings, model, test)
    oa = float((truth == found).mean())
    print(f"{setting}, {method}, seed {seed}: OA {oa:.3f}, spread {spreads[-1]:.4f}", file=sys.stderr)
    return oa, float(spreads[-1])


def main() -> None:
    """Prints a table for each setting, and one JSON document as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_indian_pines", description=__doc__)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--methods", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--network", default="sformer-small", choices=list(NETWORKS))
    parser.add_argument("--split", default="disjoint", choices=["disjoint", "random"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    window = NETWORKS["sformer-small"].window  # also of a network of smaller ones: the same pixels for all
    drawn = {seed: quadrants(options.split, window, seed, Path(tempfile.gettempdir())) for seed in options.seeds}
    document = {}
    for setting in options.settings:
        found = {
            name: np.array([run(name, setting, options, drawn[seed], seed) for seed in options.seeds])
            for name in options.methods
        }
        print(f"\n{setting}: {options.network}, {options.split} split, {len(options.seeds)} seeds\n")
        print_table(found)
        document[setting] = {name: runs.tolist() for name, runs in found.items()}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
