"""What raises the accuracy of SFormer `small` on ground that it was not trained on, on the real Indian Pines scene.

    python -m benchmarks.sformer_study --log build/sformer_study.jsonl
    python -m benchmarks.sformer_study --log build/sformer_study.jsonl --variants "120 of noise" --draws 100 101

The scene's blocks are split three ways, with guard bands between: half train, a quarter validates, a quarter tests.
A variant is chosen by its validation; the test figure stands beside it to be reported, not to choose by. Figures swing
with the draw of the blocks, so variants are compared on the same draws; those of `benchmarks.sformer_accuracy` are
others. What the log has already is not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.indian_pines import load_scene
from benchmarks.sformer_blocks import three_parts
from benchmarks.sformer_scene import components
from models.hsi.scene import Scene
from models.hsi.splits import Split
from models.sformer.architecture import SMALL
from models.sformer.network import SFormer
from models.sformer.recipe import SMALL_RECIPE, Recipe
from models.sformer.training import begin, train_epoch

_WINDOW, _MOST_TESTED = 10, 800
_SHORT = replace(SMALL_RECIPE, epochs=6)

Floats = NDArray[np.float32]
Change = Callable[[Floats, NDArray[np.int64], np.random.Generator], Floats]
"""Training windows (n, c, s, s) and their classes (n,) to what an epoch sees of them."""


def noise_added(deviation: float) -> Change:
    """Noise of a deviation in every pixel and component."""
    return lambda windows, labels, rng: windows + np.float32(deviation) * rng.standard_normal(windows.shape, np.float32)


def shifted(windows: Floats, labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Each window by a spectrum of its own, as another field of the same crop might differ."""
    return np.asarray(windows + 3 * rng.standard_normal((*windows.shape[:2], 1, 1), np.float32))


def as_classmates_differ(windows: Floats, labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Each window by 0.7 of how the means of two windows of one class differ."""
    means, one = windows.mean(axis=(2, 3)), rng.integers(len(labels), size=len(labels))
    other = np.array([rng.choice(np.flatnonzero(labels == labels[index])) for index in one])
    return np.asarray(windows + np.float32(0.7) * (means[one] - means[other])[:, :, None, None])


def shuffled(windows: Floats, labels: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """The pixels of each window in random order: what is learnt is spectra, not how fields look."""
    flat = windows.reshape(*windows.shape[:2], -1)
    return np.stack([one[:, rng.permutation(one.shape[1])] for one in flat]).reshape(windows.shape)


@dataclass(frozen=True)
class Variant:
    """One way to train: how many components, how they are scaled, of windows of what side, and how they change."""

    count: int = 120
    fitted_on: Literal["training pixels", "training pixels and their noise"] = "training pixels and their noise"
    window: int = _WINDOW
    recipe: Recipe = _SHORT
    change: Change = lambda windows, labels, rng: windows


VARIANTS = {
    "30 whitened": Variant(30, "training pixels", recipe=replace(_SHORT, epochs=8)),
    "100 whitened, noise added": Variant(
        100, "training pixels", recipe=replace(_SHORT, epochs=8), change=noise_added(1.0)
    ),
    "30 of noise": Variant(30),
    "60 of noise": Variant(60),
    "120 of noise": Variant(),
    "noise added": Variant(change=noise_added(3.0)),
    "weights decay": Variant(recipe=replace(_SHORT, weight_decay=0.5)),
    "small windows": Variant(window=6),
    "shifted": Variant(change=shifted),
    "as classmates differ": Variant(change=as_classmates_differ),
    "shuffled": Variant(change=shuffled),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sformer_study", description=__doc__)
    parser.add_argument("--log", type=Path, required=True, help="JSON lines are added to it")
    parser.add_argument("--draws", type=int, nargs="+", default=[100, 101, 102, 103, 104, 106])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scene = load_scene()
    known = [json.loads(line) for line in arguments.log.read_text().splitlines()] if arguments.log.exists() else []
    for name in arguments.variants:
        for draw in arguments.draws:
            if any((entry["variant"], entry["draw"]) == (name, draw) for entry in known):
                continue
            known.append({"variant": name, "draw": draw, **run(scene, VARIANTS[name], draw)})
            with arguments.log.open("a") as log:
                print(json.dumps(known[-1]), file=log)
    for name in arguments.variants:
        of_it = [entry for entry in known if entry["variant"] == name and entry["draw"] in arguments.draws]
        means = (f"{part} {mean(entry[part]['oa'] for entry in of_it):.3f}" for part in ("validation", "test"))
        print(f"{name}: {', '.join(means)}, {len(of_it)} draws")


def run(scene: Scene, variant: Variant, draw: int) -> dict[str, Any]:
    """Accuracy on validation and test pixels of one draw, and the CPU seconds of training."""
    pixels, validation, test = three_parts(scene.labels, _WINDOW, draw)
    seen = components(scene, Split(pixels, test, "disjoint", _WINDOW), variant.count, fitted_on=variant.fitted_on)
    windows, labels = seen.examples(pixels, variant.window)
    torch.manual_seed(draw)
    network = SFormer(replace(SMALL, window=variant.window), components=variant.count, classes=len(scene.class_names))
    training, rng, started = begin(network, variant.recipe), np.random.default_rng(draw), time.process_time()
    while training.epoch < variant.recipe.epochs:
        train_epoch(training, variant.change(windows, labels, rng), labels, seed=draw)
    found: dict[str, Any] = {"train": len(pixels), "cpu_s": round(time.process_time() - started, 1)}
    for name, part in (("validation", validation), ("test", test)):
        tested = seen.test(network, np.random.default_rng(draw).permutation(part)[:_MOST_TESTED])
        found[name] = {"pixels": len(part), "oa": round(tested.oa, 4), "aa": round(tested.aa, 4)}
    return found


if __name__ == "__main__":
    main()
