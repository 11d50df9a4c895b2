"""Three poisoned sites of ten: what each aggregation rule holds, and what it costs when nobody is bad.

    OMP_NUM_THREADS=1 python -m benchmarks.poisoned --seeds 0 1 2

Fractions and bounds are set beforehand: three of ten are assumed bad because three are. A seed deals the data out and
starts training and aggregation. Prints tables in Markdown and, at the end, every figure as one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from benchmarks import poisoned_banks as banks
from benchmarks import poisoned_weights as weights

Figures = dict[str, dict[str, list[float]]]
"""attack -> rule -> a figure per seed."""


def measure_weights(seeds: Sequence[int], *, alike: bool) -> Figures:
    """Accuracy on the digits."""

    def one(attack: str, rule: str, seed: int) -> float:
        return weights.accuracy(weights.RULES[rule], weights.ATTACKS[attack], seed, alike=alike)

    return _grid(weights.ATTACKS, weights.RULES, seeds, one)


def measure_banks(seeds: Sequence[int], scratch: Path) -> Figures:
    """Image AUROC on solar cells; the last line is an honest site with another product, judged on that product."""
    cells, features = banks.cells_and_features(scratch)
    worlds = {seed: banks.world_of(cells, features, seed) for seed in seeds}
    sent = {
        (name, seed): attack(world, np.random.default_rng(seed))
        for name, attack in banks.ATTACKS.items()
        for seed, world in worlds.items()
    }

    def one(attack: str, rule: str, seed: int) -> float:
        figure, remarks = banks.image_auroc(banks.RULES[rule], worlds[seed], sent[attack, seed], seed)
        print(f"solar cells, {attack}, {rule}, seed {seed}: {figure:.3f}", remarks, file=sys.stderr, flush=True)
        return figure

    def one_unlike(attack: str, rule: str, seed: int) -> float:
        world = banks.other_product(worlds[seed], cells, features, seed)
        return banks.image_auroc(banks.RULES[rule], world, sent["nobody", seed], seed)[0]

    attacked = _grid(banks.ATTACKS, banks.RULES, seeds, one)
    return attacked | _grid(["nobody, one site makes poly"], banks.RULES, seeds, one_unlike)


def _grid(
    attacks: Sequence[str] | Mapping[str, object],
    rules: Mapping[str, object],
    seeds: Sequence[int],
    one: Callable[[str, str, int], float],
) -> Figures:
    return {attack: {rule: [one(attack, rule, seed) for seed in seeds] for rule in rules} for attack in attacks}


def _print_table(title: str, figures: Figures) -> None:
    rules = list(next(iter(figures.values())))
    print(f"\n{title}\n\n| poison | {' | '.join(rules)} |\n|---|{'---|' * len(rules)}")
    for attack, found in figures.items():
        print(f"| {attack} | {' | '.join(_cell(found[rule]) for rule in rules)} |", flush=True)


def _cell(values: Sequence[float]) -> str:
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    """Measures weights with sites alike and unlike, then banks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    everything: dict[str, Figures] = {}
    for title, alike in (("digits, sites alike", True), ("digits, sites with two digits each", False)):
        everything[title] = measure_weights(arguments.seeds, alike=alike)
        _print_table(title, everything[title])
    with tempfile.TemporaryDirectory(prefix="edgefed-") as scratch:
        everything["solar cells"] = measure_banks(arguments.seeds, Path(scratch))
    _print_table("solar cells", everything["solar cells"])
    print(json.dumps(everything))


if __name__ == "__main__":
    main()
