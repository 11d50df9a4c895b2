"""What raises the accuracy of SFormer `small` on ground that it was not trained on, on the real Indian Pines scene.

    python -m benchmarks.sformer_study --log build/sformer_study.jsonl --draws 0 1 2 3 --variants plain noisy wide

The scene's blocks are split three ways, with guard bands between: half train, a quarter validates, a quarter tests.
A variant is chosen by its validation; the test figure stands beside it to be reported, not to choose by. Figures swing
with the draw of the blocks, so variants are compared on the same draws.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.indian_pines import load_scene
from benchmarks.sformer_scene import components
from models.hsi.scene import Scene
from models.hsi.splits import Split
from models.hsi.windows import Pixels, footprint, touches
from models.sformer.architecture import SMALL
from models.sformer.network import SFormer
from models.sformer.recipe import SMALL_RECIPE, Recipe
from models.sformer.training import train

_BLOCK, _GUARD, _PER_CLASS, _DRAWS, _MOST_TESTED = 24, 10, 50, 200, 1500
_SHORT = replace(SMALL_RECIPE, epochs=10)


@dataclass(frozen=True)
class Variant:
    """One way to train: how many whitened principal components, of windows of what side, and the recipe."""

    count: int = 30
    window: int = 10
    recipe: Recipe = _SHORT


VARIANTS = {
    "plain": Variant(),
    "noisy": Variant(recipe=replace(_SHORT, noise=0.3)),
    "few components": Variant(count=10),
    "small windows": Variant(window=6),
    "60": Variant(count=60),
    "60 noisy": Variant(count=60, recipe=replace(_SHORT, noise=0.5)),
    "100": Variant(count=100),
    "100 noisy": Variant(count=100, recipe=replace(_SHORT, noise=1.0)),
    "100 noisier": Variant(count=100, recipe=replace(_SHORT, noise=2.0)),
    "150 noisy": Variant(count=150, recipe=replace(_SHORT, noise=1.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sformer_study", description=__doc__)
    parser.add_argument("--log", type=Path, required=True, help="JSON lines are added to it")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scene = load_scene()
    for name in arguments.variants:
        for draw in arguments.draws:
            entry = {"variant": name, "draw": draw, **run(scene, VARIANTS[name], draw)}
            print(json.dumps(entry), flush=True)
            with arguments.log.open("a") as log:
                print(json.dumps(entry), file=log)


def run(scene: Scene, variant: Variant, draw: int) -> dict[str, Any]:
    """Accuracy on validation and test pixels of one draw, and the CPU seconds of training."""
    pixels, validation, test = three_parts(scene.labels, draw)
    rng = np.random.default_rng(draw)
    seen = components(scene, Split(pixels, test, "disjoint", _GUARD), variant.count, fitted_on="training pixels")
    windows, labels = seen.examples(pixels, variant.window)
    torch.manual_seed(draw)
    network = SFormer(replace(SMALL, window=variant.window), components=variant.count, classes=len(scene.class_names))
    started = time.process_time()
    train(network, windows, labels, variant.recipe, seed=draw)
    found: dict[str, Any] = {"train": len(pixels), "cpu_s": round(time.process_time() - started, 1)}
    for name, part in (("validation", validation), ("test", test)):
        tested = seen.test(network, rng.permutation(part)[:_MOST_TESTED])
        found[name] = {"pixels": len(part), "oa": round(tested.oa, 4), "aa": round(tested.aa, 4)}
    return found


def three_parts(labels: NDArray[np.integer], draw: int) -> tuple[Pixels, Pixels, Pixels]:
    """Training, validation and test pixels, in blocks that share no window; most classes in all of 200 random grids."""
    drawn = [_parts(labels, np.random.default_rng((draw, index))) for index in range(_DRAWS)]
    train_area, *others = max(drawn, key=lambda areas: _shared_classes(labels, areas))
    rng = np.random.default_rng(draw)
    classes = [int(number) for number in np.unique(labels) if number]
    chosen = [rng.permutation(np.argwhere((labels == number) & train_area))[:_PER_CLASS] for number in classes]
    pixels = np.concatenate(chosen)
    read = footprint(pixels, _GUARD, labels.shape)
    known = np.isin(labels, labels[tuple(pixels.T)])
    validation, test = (np.argwhere(known & area) for area in others)
    test = test[~touches(test, _GUARD, read)]
    validation = validation[~touches(validation, _GUARD, read | footprint(test, _GUARD, labels.shape))]
    return pixels, validation, test


def _parts(labels: NDArray[np.integer], rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    down, right = rng.integers(0, _BLOCK, 2)
    height, width = labels.shape
    rows, columns = (np.arange(height) + down) // _BLOCK, (np.arange(width) + right) // _BLOCK
    blocks = rows[:, None] * (columns[-1] + 1) + columns
    order = rng.permutation(np.unique(blocks[labels > 0]))
    half, rest = len(order) // 2, len(order) * 3 // 4
    return [np.isin(blocks, part) for part in np.split(order, [half, rest])]


def _shared_classes(labels: NDArray[np.integer], areas: list[NDArray[np.bool_]]) -> int:
    counts = [np.bincount(labels[area], minlength=int(labels.max()) + 1)[1:] > 20 for area in areas]
    return int(sum((counts[0] & other).sum() for other in counts[1:]))


if __name__ == "__main__":
    main()
