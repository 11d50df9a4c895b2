"""`edgefed model merge` on handwritten digits: two models, trained apart for 200 steps, merged once without data.

    python -m benchmarks.wsa_merge [--seeds 0 1 2 3 4 5 6 7] [--picture FILE.svg]

Cases name what differs: the shares of the digits (Dir(0.3), else alike), the start, the recipe. *aligned before*
stretches both models to their fused scope and averages then; *trained with WSA* had λ 10 towards the common start.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.digits_sites import CLASSES, deal
from edge_client.barrier_picture import barrier_svg
from models.method import Arrays, SiteData, Update
from models.wsa.curve import curve
from models.wsa.first_round import project, published_projection, sums_arrays
from models.wsa.fusion import fuse
from models.wsa.local import arrays_of, first_network, load
from models.wsa.merging import How, aligned, barrier, merge
from models.wsa.pixels import examples, labelled_scenes, sums_of
from models.wsa.regulariser import ScopeRegulariser
from models.wsa.scope import scopes_of
from models.wsa.settings import Bands, Settings, Training
from models.wsa.training import train

SETTINGS: Final = Settings(classes=CLASSES, network="spectral-mlp", bands=Bands(components=None))
RECIPE: Final = Training(optimiser="sgd", learning_rate=0.05, weight_decay=1e-4, steps=200, batch=32)
SHARES: Final = tuple(np.linspace(0, 1, 11).tolist())

Examples = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Case:
    """What differs between the two models.

    Attributes:
        alpha: of the shares of the digits; 100 makes them alike.
        other: the second model's recipe, where it differs.
        same_start: both start from the same weights.
    """

    alpha: float
    other: dict[str, Any]
    same_start: bool = True


CASES: Final = {
    "digits": Case(0.3, {}),
    "decay 0.1": Case(100, {"weight_decay": 0.1}),
    "digits, decay 0.1": Case(0.3, {"weight_decay": 0.1}),
    "digits, rate 0.2": Case(0.3, {"learning_rate": 0.2}),
    "start": Case(100, {}, same_start=False),
    "start, digits, decay 0.1": Case(0.3, {"weight_decay": 0.1}, same_start=False),
}


def run(case: Case, seed: int) -> dict[str, float]:
    """Test accuracies of the ends and of the merges, and the barriers of loss."""
    parts, test = _data(case, seed)
    recipes = [RECIPE, replace(RECIPE, **case.other)]
    starts = [seed, seed if case.same_start else seed + 1000]
    trained = [_trained(part, recipe, start, 2 * seed + i, aligning=False)
               for i, (part, recipe, start) in enumerate(zip(parts, recipes, starts, strict=True))]  # fmt: skip
    fused = fuse([scopes_of(model) for model in trained], [1, 1], "mean")
    found = {
        "ends": float(np.mean([_accuracy(model, test) for model in trained])),
        "mean": _accuracy(merge(trained, [1, 1], "mean"), test),
        "wsa": _accuracy(merge(trained, [1, 1], "wsa"), test),
        "aligned before": _accuracy(merge([aligned(model, fused) for model in trained], [1, 1], "mean"), test),
    }
    for how in ("mean", "wsa"):
        points = curve(_network(seed, test), (trained[0], trained[1]), *test, how, SHARES)
        found[f"barrier, {how}"] = barrier(np.array([point.loss for point in points]))
    if case.same_start:
        together = [_trained(part, recipe, seed, 2 * seed + i, aligning=True)
                    for i, (part, recipe) in enumerate(zip(parts, recipes, strict=True))]  # fmt: skip
        found["trained with WSA"] = _accuracy(merge(together, [1, 1], "mean"), test)
    return found


def _data(case: Case, seed: int) -> tuple[list[Examples], Examples]:
    sites, test = deal(2, case.alpha, seed, Path())
    scenes = [labelled_scenes(SETTINGS, data) for data in sites.values()]
    sums = [Update(str(i), 1.0, sums_arrays(sums_of(scene), None)) for i, scene in enumerate(scenes)]
    projection = published_projection(project(SETTINGS, sums))
    tested = labelled_scenes(SETTINGS, SiteData([], "", {}, Path(), "test", (test,)))
    return [examples(scene, projection, 1) for scene in scenes], examples(tested, projection, 1)


def _network(start: int, data: Examples) -> torch.nn.Module:
    nowhere = SiteData([], "", {}, Path(), "")
    return first_network(replace(SETTINGS, init_seed=start), data[0].shape[1], nowhere)


def _trained(data: Examples, recipe: Training, start: int, seed: int, *, aligning: bool) -> Arrays:
    network = _network(start, data)
    pull = ScopeRegulariser(network, scopes_of(arrays_of(network)), 10.0) if aligning else None
    train(network, *data, recipe, pull, seed, lambda stage, step, steps: None)
    return arrays_of(network)


def _accuracy(model: Arrays, test: Examples) -> float:
    network = _network(0, test).eval()
    load(network, model)
    with torch.inference_mode():
        return float((network(torch.from_numpy(test[0])).argmax(dim=1).numpy() == test[1]).mean())


def picture(case: Case, seed: int) -> str:
    """The loss on the way between the two models of a case."""
    parts, test = _data(case, seed)
    starts = [seed, seed if case.same_start else seed + 1000]
    one, other = (_trained(part, RECIPE, start, 2 * seed + i, aligning=False)
                  for i, (part, start) in enumerate(zip(parts, starts, strict=True)))  # fmt: skip
    ways: tuple[How, ...] = ("mean", "wsa")
    network = _network(seed, test)
    lines = {how: [point.loss for point in curve(network, (one, other), *test, how, SHARES)] for how in ways}
    return barrier_svg(("one start", "another start"), SHARES, lines)


def main() -> None:
    """Prints the table of docs/wsa.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wsa_merge", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw the way between two starts and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.picture is not None:
        options.picture.write_text(picture(CASES["start"], options.seeds[0]))
        return
    seeds = options.seeds
    for index, (name, case) in enumerate(CASES.items()):
        runs = [run(case, seed) for seed in seeds]
        gains = [100 * (one["wsa"] - one["mean"]) for one in runs]
        means = {key: np.mean([one[key] for one in runs]) for key in runs[0]}
        means.setdefault("trained with WSA", np.nan)
        if not index:
            print("| what differs | " + " | ".join(means) + " | wsa − mean, points | won |\n" + "|---" * 10 + "|")
        cells = " | ".join("–" if np.isnan(value) else f"{value:.3f}" for value in means.values())
        won = sum(gain > 0 for gain in gains)
        print(f"| {name} | {cells} | {np.mean(gains):+.1f} ± {np.std(gains):.1f} | {won}/{len(runs)} |", flush=True)


if __name__ == "__main__":
    main()
