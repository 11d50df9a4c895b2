"""What an SFormer scores on the real Indian Pines scene, beside a baseline of a second.

    python -m benchmarks.sformer_accuracy --split disjoint
    python -m benchmarks.sformer_accuracy --split disjoint --order variance --components 30
    python -m benchmarks.sformer_accuracy --split random --seeds 0 1 2
    python -m benchmarks.sformer_accuracy --split random --seeds 0 1 --network paper

50 training pixels per class. Each seed is another draw of the split; one line of JSON each, then the mean and range.
The baseline is a support vector machine on the mean of each window, of the same components. Nothing is chosen on these
draws: `benchmarks.sformer_study` chooses, on others.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import replace
from statistics import mean
from typing import Any, Literal

import torch

from benchmarks.indian_pines import load_scene
from benchmarks.sformer_scene import Components, components
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.scene import Scene
from models.hsi.splits import Split, disjoint_split, random_split
from models.hsi.window_svm import WindowSvm
from models.sformer.presets import build_paper, build_small
from models.sformer.recipe import SMALL_RECIPE
from models.sformer.training import train

_NETWORKS = {"small": build_small, "paper": build_paper}
_SPLITS = {"random": random_split, "disjoint": disjoint_split}
_FITTED_ON: dict[str, Literal["training pixels", "training pixels and their noise"]] = {
    "variance": "training pixels",
    "noise": "training pixels and their noise",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sformer_accuracy", description=__doc__)
    parser.add_argument("--split", choices=_SPLITS, default="disjoint")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--order", choices=_FITTED_ON, default="noise", help="of the components")
    parser.add_argument("--components", type=int, default=120)
    parser.add_argument("--network", choices=_NETWORKS, default="small")
    parser.add_argument("--epochs", type=int, default=SMALL_RECIPE.epochs)
    arguments = parser.parse_args()
    logging.basicConfig()
    torch.set_num_threads(1)
    scene, runs = load_scene(), list[dict[str, Any]]()
    for seed in arguments.seeds:
        split = _SPLITS[arguments.split](scene.labels, 10, seed=seed)
        seen = components(scene, split, arguments.components, fitted_on=_FITTED_ON[arguments.order])
        runs.append({"split": split.kind, "seed": seed, **run(scene, split, seen, seed, arguments)})
        print(json.dumps(runs[-1]), flush=True)
    for side in ("sformer", "svm"):
        for figure in ("oa", "aa", "kappa"):
            values = [entry[side][figure] for entry in runs]
            print(f"{side} {figure}: mean {mean(values):.4f}, from {min(values):.4f} to {max(values):.4f}")


def run(scene: Scene, split: Split, seen: Components, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One draw of a split: CPU seconds of training, and both accuracies."""
    windows, labels = seen.examples(split.train, split.window)
    torch.manual_seed(seed)
    network = _NETWORKS[options.network](windows.shape[1], len(scene.class_names), {})
    started = time.process_time()
    train(network, windows, labels, replace(SMALL_RECIPE, epochs=options.epochs), seed=seed)
    return {
        "train": len(split.train), "test": len(split.test), "cpu_s": round(time.process_time() - started, 1),
        "sformer": figures(seen.test(network, split.test)), "svm": figures(svm(seen, split)),
    }  # fmt: skip


def svm(seen: Components, split: Split) -> Accuracy:
    predicted = WindowSvm(split.window).train(seen.cube, split.train, seen.labels).predict(seen.cube, split.test)
    return accuracy(seen.labels[tuple(split.test.T)], predicted, seen.names)


def figures(found: Accuracy) -> dict[str, float]:
    return {"oa": round(found.oa, 4), "aa": round(found.aa, 4), "kappa": round(found.kappa, 4)}


if __name__ == "__main__":
    main()
