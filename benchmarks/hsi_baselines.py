"""What a one-second baseline scores on the real Indian Pines scene, on the random split and on disjoint ones.

    python -m benchmarks.hsi_baselines --draws 5
    python -m benchmarks.hsi_baselines --draws 5 --order noise --components 60
    python -m benchmarks.hsi_baselines --draws 6 --scene FILE.npz --components 20 --window 6 --per-class 20 --blocks 16

An RBF support vector machine on the mean of each window of components, fitted on the training pixels. `--scene` takes
another scene, with the arrays `cube` and `gt`. Every draw is reported: of the disjoint split they swing widely.
Nothing is chosen on test pixels. A figure of a network means little where this line does not stand beside it.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.indian_pines import load_scene
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.moments import band_sums
from models.hsi.neighbours import differences
from models.hsi.projection import Projection, fit, fit_against_noise
from models.hsi.scene import Scene
from models.hsi.splits import BLOCK, Split, check_trained, disjoint_split, random_split
from models.hsi.window_svm import WindowSvm


@dataclass(frozen=True)
class Run:
    """One draw of a split: what it is called, its seed, how it went, and the seconds of CPU."""

    split: str
    seed: int
    train: int
    test: int
    cpu_s: float
    accuracy: Accuracy


def run(scene: Scene, split: Split, name: str, seed: int, options: argparse.Namespace) -> Run:
    started = time.process_time()
    height, width = scene.labels.shape
    split.check((height, width))
    check_trained(*(scene.labels[tuple(side.T)] for side in (split.train, split.test)), scene.class_names)
    components = _projection(scene, split, options).apply(scene.cube, scene.valid)
    model = WindowSvm(split.window).train(components, split.train, scene.labels)
    predicted = model.predict(components, split.test)
    found = accuracy(scene.labels[tuple(split.test.T)], predicted, scene.class_names)
    return Run(name, seed, len(split.train), len(split.test), time.process_time() - started, found)


def _projection(scene: Scene, split: Split, options: argparse.Namespace) -> Projection:
    sums = band_sums(scene.cube[tuple(split.train.T)])
    if options.order == "variance":
        return fit(sums, options.components)
    return fit_against_noise(sums, band_sums(differences(scene.cube, split.train, scene.valid)), options.components)


def _scene(path: Path | None) -> Scene:
    if path is None:
        return load_scene()
    with np.load(path) as file:
        labels = file["gt"].astype(np.int16)
        names = tuple(f"class {number}" for number in range(1, labels.max() + 1))
        return Scene(file["cube"], labels, names, np.ones(labels.shape, bool))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hsi_baselines", description=__doc__)
    parser.add_argument("--draws", type=int, default=5, help="of each split, with the seeds 0, 1, ...")
    parser.add_argument("--blocks", type=int, nargs="+", default=[BLOCK], help="sides of the blocks in pixels")
    parser.add_argument("--order", choices=["variance", "noise"], default="variance", help="of the components")
    parser.add_argument("--components", type=int, default=30)
    parser.add_argument("--scene", type=Path, help="instead of Indian Pines")
    parser.add_argument("--window", type=int, default=10, help="side in pixels")
    parser.add_argument("--per-class", type=int, default=50, help="training pixels")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    scene, runs = _scene(options.scene), list[Run]()
    for seed in range(options.draws):
        wanted: dict[str, Any] = {"seed": seed, "per_class": options.per_class}
        split = random_split(scene.labels, options.window, **wanted)
        runs.append(run(scene, split, "random", seed, options))
        for block in options.blocks:
            split = disjoint_split(scene.labels, options.window, block=block, **wanted)
            runs.append(run(scene, split, f"disjoint, blocks of {block}", seed, options))
    if options.json:
        print(json.dumps([asdict(one) for one in runs]))
        return
    for name in dict.fromkeys(one.split for one in runs):
        Console().print(_table(name, [one for one in runs if one.split == name]))


def _table(name: str, runs: Sequence[Run]) -> Table:
    table = Table(title=f"window SVM, {name}", title_justify="left")
    for column in ("seed", "train", "test", "classes tested", "OA", "AA", "kappa", "CPU s"):
        table.add_column(column, justify="right")
    for one in runs:
        found = one.accuracy
        tested = sum(count > 0 for count in found.pixels.values())
        figures = (f"{value:.3f}" for value in (found.oa, found.aa, found.kappa))
        table.add_row(str(one.seed), str(one.train), str(one.test), str(tested), *figures, f"{one.cpu_s:.1f}")
    table.add_section()
    ranges = (_range([getattr(one.accuracy, key) for one in runs]) for key in ("oa", "aa", "kappa"))
    table.add_row("all", "", "", "", *ranges, "")
    return table


def _range(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
