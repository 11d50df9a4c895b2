"""What HyperSIGMA `small` scores on the real Indian Pines scene from random weights, beside the one-second baseline.

    python -m benchmarks.hypersigma_accuracy --seeds 0 1 2

50 training pixels per class, spatially disjoint from the test pixels. From scratch, small: not the paper's numbers.
Each seed is another draw of the split and prints one line of JSON. Nothing is chosen on test pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from benchmarks.indian_pines import load_scene
from benchmarks.sformer_scene import components
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.scene import Scene
from models.hsi.splits import disjoint_split
from models.hsi.window_svm import WindowSvm
from models.hsi.windows import cut
from models.hypersigma.presets import SMALL_WINDOW, build_small
from models.wsa.settings import Training
from models.wsa.training import train

_COMPONENTS, _AT_ONCE = 30, 64
_TRAINING = Training(learning_rate=1e-3, epochs=40, batch=64, augment=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hypersigma_accuracy", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    torch.set_num_threads(1)
    scene = load_scene()
    for seed in parser.parse_args().seeds:
        print(json.dumps(run(scene, seed)), flush=True)


def run(scene: Scene, seed: int) -> dict[str, Any]:
    """One draw of a split: CPU seconds of training, and both accuracies."""
    split = disjoint_split(scene.labels, SMALL_WINDOW, seed=seed)
    seen = components(scene, split, _COMPONENTS, fitted_on="training pixels")
    windows, labels = seen.examples(split.train, SMALL_WINDOW)
    torch.manual_seed(seed)
    network = build_small(_COMPONENTS, len(scene.class_names), {})
    started = time.process_time()
    train(network, windows, labels, _TRAINING, None, seed, lambda stage, step, steps: None)
    cpu_s = time.process_time() - started
    network.eval()
    parts = [split.test[start : start + _AT_ONCE] for start in range(0, len(split.test), _AT_ONCE)]
    with torch.inference_mode():
        logits = [network(torch.from_numpy(cut(seen.cube, part, SMALL_WINDOW))).numpy() for part in parts]
    svm = WindowSvm(SMALL_WINDOW).train(seen.cube, split.train, scene.labels).predict(seen.cube, split.test)
    truth, names = scene.labels[tuple(split.test.T)], scene.class_names
    return {
        "seed": seed, "train": len(split.train), "test": len(split.test), "training": asdict(_TRAINING),
        "cpu_s": round(cpu_s, 1), "svm": _figures(accuracy(truth, svm, names)),
        "hypersigma": _figures(accuracy(truth, np.concatenate(logits).argmax(axis=1) + 1, names)),
    }  # fmt: skip


def _figures(found: Accuracy) -> dict[str, float]:
    return {"oa": round(found.oa, 4), "aa": round(found.aa, 4), "kappa": round(found.kappa, 4)}


if __name__ == "__main__":
    main()
