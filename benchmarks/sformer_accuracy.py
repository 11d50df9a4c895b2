"""What SFormer `small` scores on the real Indian Pines scene, beside the one-second baseline.

    python -m benchmarks.sformer_accuracy --split disjoint --components 100 --noise 1
    python -m benchmarks.sformer_accuracy --split random --seeds 0

50 training pixels per class, 30 epochs. Each seed is another draw of the split; one line of JSON each, then the mean
and range. Nothing is chosen on test pixels: `benchmarks.sformer_study` chooses, on blocks that neither train nor test.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import replace
from statistics import mean
from typing import Any

import torch

from benchmarks.indian_pines import load_scene
from benchmarks.sformer_scene import components
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.scene import Scene
from models.hsi.splits import disjoint_split, random_split
from models.hsi.window_svm import WindowSvm
from models.sformer.presets import build_small
from models.sformer.recipe import SMALL_RECIPE, Recipe
from models.sformer.training import train

_SPLITS = {"random": random_split, "disjoint": disjoint_split}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sformer_accuracy", description=__doc__)
    parser.add_argument("--split", choices=_SPLITS, default="disjoint")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--components", type=int, default=30, help="principal components, whitened")
    parser.add_argument("--noise", type=float, default=0.0, help="deviation of what is added to them in training")
    parser.add_argument("--epochs", type=int, default=SMALL_RECIPE.epochs)
    arguments = parser.parse_args()
    recipe = replace(SMALL_RECIPE, noise=arguments.noise, epochs=arguments.epochs)
    logging.basicConfig()
    torch.set_num_threads(1)
    scene = load_scene()
    runs = []
    for seed in arguments.seeds:
        runs.append(run(scene, arguments.split, seed, arguments.components, recipe))
        print(json.dumps(runs[-1]), flush=True)
    for side in ("sformer", "svm"):
        for figure in ("oa", "aa", "kappa"):
            values = [entry[side][figure] for entry in runs]
            print(f"{side} {figure}: mean {mean(values):.4f}, from {min(values):.4f} to {max(values):.4f}")


def run(scene: Scene, kind: str, seed: int, count: int, recipe: Recipe) -> dict[str, Any]:
    """One draw of a split: CPU seconds of training, and both accuracies."""
    split = _SPLITS[kind](scene.labels, 10, seed=seed)
    seen = components(scene, split, count, fitted_on="training pixels")
    windows, labels = seen.examples(split.train, split.window)
    torch.manual_seed(seed)
    network = build_small(count, len(scene.class_names), {})
    started = time.process_time()
    train(network, windows, labels, recipe, seed=seed)
    cpu_s = time.process_time() - started
    svm = WindowSvm(split.window).train(seen.cube, split.train, scene.labels).predict(seen.cube, split.test)
    return {
        "split": kind, "seed": seed, "train": len(split.train), "test": len(split.test), "cpu_s": round(cpu_s, 1),
        "sformer": _figures(seen.test(network, split.test)),
        "svm": _figures(accuracy(scene.labels[tuple(split.test.T)], svm, scene.class_names)),
    }  # fmt: skip


def _figures(found: Accuracy) -> dict[str, float]:
    return {"oa": round(found.oa, 4), "aa": round(found.aa, 4), "kappa": round(found.kappa, 4)}


if __name__ == "__main__":
    main()
