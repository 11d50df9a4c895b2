"""Four quadrants of Indian Pines: each alone, federated, and pooled, with and without what helps unlike sites.

    python -m benchmarks.wsa_quadrants --split random --seeds 0 1 2 [--variants demo ...] [--validate]

16 rounds of training. Each site alone is tested on the whole scene, as the federation is; the pooled pixels get as many
steps as all sites together. The window SVM on the pooled pixels stands beside. A fifth of the pixels is never tested:
variants were chosen on it, with `--validate` and seeds from 100 on.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.indian_pines import CLASSES, load_scene, quadrants
from benchmarks.wsa_federation import FEDAVG, federate, predicted
from models.hsi.accuracy import accuracy
from models.hsi.moments import band_sums
from models.hsi.projection import fit
from models.hsi.scene import Scene
from models.hsi.window_svm import WindowSvm
from models.method import SiteData
from models.wsa.networks import NETWORKS
from models.wsa.settings import Bands, Settings, Training

ROUNDS: Final = 16
WINDOW: Final = NETWORKS["sformer-small"].window
_STEPS: Final = Training(steps=16, batch=16, augment=True)
_COSINE: Final = replace(_STEPS, learning_rate=4e-3, cosine_rounds=ROUNDS)
_NOISE: Final = Bands(order="noise")
VARIANTS: Final = {
    "epoch": Settings(classes=CLASSES),
    "steps": Settings(classes=CLASSES, training=_STEPS),
    "cosine": Settings(classes=CLASSES, training=_COSINE),
    "demo": Settings(classes=CLASSES, training=_COSINE, head_after=ROUNDS),
    "noise": Settings(classes=CLASSES, training=_COSINE, head_after=ROUNDS, bands=_NOISE),
}


def run(variant: str, kind: str, seed: int, *, validate: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Who trained, and OA, AA and kappa on the whole scene's pixels: all sites together, the baseline, each, pooled."""
    sites, test = quadrants(kind, WINDOW, seed, Path(tempfile.gettempdir()), validate=validate)
    settings = replace(VARIANTS[variant], init_seed=seed)
    pooled = replace(next(iter(sites.values())), site="pooled", scenes=(_labelled(sites),))
    steps = settings.training.steps
    longer = replace(settings.training, steps=steps and steps * len(sites))
    yield "federated", _tested(settings, sites, test, seed)
    yield "svm", _baseline(pooled.scenes[0], test)
    for name, data in sites.items():
        yield name, _tested(settings, {name: data}, test, seed)
    yield "pooled", _tested(replace(settings, training=longer), {"pooled": pooled}, test, seed)


def _tested(settings: Settings, sites: Mapping[str, SiteData], test: Scene, seed: int) -> dict[str, float]:
    rounds = ROUNDS + (settings.head_after is not None)
    model, _ = federate(FEDAVG, settings, sites, dict.fromkeys(sites, settings.training), rounds, seed)
    return _figures(*predicted(settings, model, test))


def _baseline(train: Scene, test: Scene) -> dict[str, float]:
    pixels, asked = np.argwhere(train.labels), np.argwhere(test.labels)
    components = fit(band_sums(train.cube[tuple(pixels.T)]), 30).apply(train.cube)
    found = WindowSvm(WINDOW).train(components, pixels, train.labels).predict(components, asked)
    return _figures(test.labels[tuple(asked.T)], found)


def _figures(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    measured = asdict(accuracy(truth, found, CLASSES))
    return {name: round(measured[name], 4) for name in ("oa", "aa", "kappa")}


def _labelled(sites: Mapping[str, SiteData]) -> Scene:
    """The whole scene with the labels of all sites."""
    north_west, north_east, south_west, south_east = (data.scenes[0].labels for data in sites.values())
    return replace(load_scene(), labels=np.block([[north_west, north_east], [south_west, south_east]]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_quadrants", description=__doc__)
    parser.add_argument("--split", default="disjoint", choices=["disjoint", "random"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--validate", action="store_true", help="test the pixels that are kept for choosing")
    options = parser.parse_args()
    logging.basicConfig()
    torch.set_num_threads(1)
    for variant in options.variants:
        for seed in options.seeds:
            for who, figures in run(variant, options.split, seed, validate=options.validate):
                entry = {"variant": variant, "split": options.split, "seed": seed, "who": who, **figures}
                print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    main()
