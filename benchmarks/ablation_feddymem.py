"""What each part of FedDyMem is worth: federations of the live method values with one part switched off at a time.

    python -m benchmarks.ablation_feddymem --federation elpv --seeds 0 1 2
    python -m benchmarks.ablation_feddymem --federation unlike lightings screw --data IMAGES --seeds 0 1 2

Federations: `elpv` (the demo's plants), `elpv-development` (the same plants, measured on cells that are in no plant
and not in the test set: choices are made here), `unlike` (each site another product: mono cells, magnetic tiles, toys),
`lightings` (magnetic tiles, every site another lighting; each test image in one of them), and any product folder
under --data dealt out to three sites. A seed draws the split, the training and the aggregation. Nothing is chosen on
the test images: every variant is reported, at its last round.

Columns: `all`, the mean over the sites of each site's model on the whole test set; `own`, every image judged by the
site whose product it is, where products have such a site; then the products, judged likewise.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image

from edge_client.datasets import LabelledImage
from edgefed.demo.anomaly.plants import deal, load_cells
from edgefed.labelled_set import LabelledSet, silent, site_data
from edgefed.simulation import simulate
from models.method import derive_seed
from protos.jobs import job_from_table

PLAIN = {"score": {"self_normalise": False, "cell_scale": False}}
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "all parts": {},
    "generator off": {"generator": {"enabled": False}},
    "metric loss off": {"generator": {"metric_loss": False}},
    "anchor off": {"generator": {"anchor": 0.0}},
    "dynamic bank off": {"memory": {"dynamic": False}},
    "memory-reduce off": {"memory": {"reduce": False}},
    "k-means off": {"aggregation": {"kmeans": False}},
    "plain score": PLAIN,
    "plain score, generator off": {**PLAIN, "generator": {"enabled": False}},
    "cell scale": {"score": {"cell_scale": True}},
    "cell scale, generator off": {"score": {"cell_scale": True}, "generator": {"enabled": False}},
}
LIGHTINGS: Sequence[Callable[[np.ndarray], np.ndarray]] = (
    lambda image: image,
    lambda image: image * 0.65 + 0.15 * 255,
    lambda image: 255 * (image / 255) ** 1.5 * np.linspace(0.55, 1.05, image.shape[1])[None, :, None],
)
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp"}


@dataclass(frozen=True)
class Federation:
    """Sites and a common test set.

    Attributes:
        sites: name -> training images.
        test: labelled images.
        owner: product -> the site whose product it is; empty where every site has every product.
    """

    sites: Mapping[str, Sequence[Path]]
    test: Sequence[LabelledImage]
    owner: Mapping[str, str]


def elpv(seed: int, data: Path | None, folder: Path) -> Federation:
    """The demo's three plants and its common test set."""
    split = deal(load_cells(), seed)
    sites = {site: [cell.path for cell in cells] for site, cells in split.train.items()}
    test = [LabelledImage(c.path, c.type, "defective" if c.probability else "good", None) for c in split.test]
    return Federation(sites, test, {"mono": "plant-a", "poly": "plant-b"})


def elpv_development(seed: int, data: Path | None, folder: Path) -> Federation:
    """The demo's three plants, and the cells that the demo leaves over."""
    split = deal(load_cells(), seed)
    taken = {cell.path for cells in split.train.values() for cell in cells} | {cell.path for cell in split.test}
    left = [cell for cell in load_cells() if cell.path not in taken and cell.probability in (0.0, 1.0)]
    test = [LabelledImage(c.path, c.type, "defective" if c.probability else "good", None) for c in left]
    return replace(elpv(seed, data, folder), test=test)


def unlike(seed: int, data: Path | None, folder: Path) -> Federation:
    """Mono cells, magnetic tiles and toys at one site each."""
    split = deal(load_cells(), seed)
    tile, toy = _product(data, "magnetic_tile"), _product(data, "aws_toy_alien")
    sites = {"cells": [cell.path for cell in split.train["plant-a"]], "tiles": _normal(tile), "toys": _normal(toy)}
    test = [
        LabelledImage(c.path, "mono", "defective" if c.probability else "good", None)
        for c in split.test
        if c.type == "mono"
    ]
    test += _labelled(tile) + _labelled(toy)
    return Federation(sites, test, {"mono": "cells", "magnetic_tile": "tiles", "aws_toy_alien": "toys"})


def lightings(seed: int, data: Path | None, folder: Path) -> Federation:
    """Magnetic tiles dealt out to three sites with a lighting each; every test image is seen in one of them."""
    tile = _product(data, "magnetic_tile")
    normal, labelled = _normal(tile), _labelled(tile)
    random.Random(seed).shuffle(normal)
    sites, test = {}, []
    for index in range(3):
        target = folder / f"lighting-{index}"
        target.mkdir(parents=True, exist_ok=True)
        sites[f"site-{index}"] = [_relit(path, index, target) for path in normal[index::3]]
        test += [
            LabelledImage(_relit(one.path, index, target), f"lighting-{index}", one.defect, None)
            for one in labelled[index::3]
        ]
    return Federation(sites, test, {f"lighting-{index}": f"site-{index}" for index in range(3)})


def dealt_out(name: str) -> Callable[[int, Path | None, Path], Federation]:
    """One product's normal images dealt out to three sites."""

    def make(seed: int, data: Path | None, folder: Path) -> Federation:
        product = _product(data, name)
        normal = _normal(product)
        random.Random(seed).shuffle(normal)
        return Federation({f"site-{i}": normal[i::3] for i in range(3)}, _labelled(product), {})

    return make


def measure(
    federation: Federation, variant: Mapping[str, Any], arguments: argparse.Namespace, seed: int, scratch: Path
):
    """AUROC of one variant: `all`, `own` where there are owners, and every product."""
    features = {"image_size": arguments.image_size}
    table = {"name": "ablation", "method": "feddymem", "seed": seed, "rounds": {"count": arguments.rounds}}
    spec = job_from_table({**table, "feddymem": {**variant, "features": features}}, source="ablation")
    settings, method = spec.the_settings, spec.the_method
    sites = {name: site_data(name, paths, scratch / "sites") for name, paths in federation.sites.items()}
    result = simulate(spec, sites)
    test = LabelledSet(federation.test, settings.features, scratch / f"test-{seed}")
    scores = {}
    for name, data in sites.items():
        install_seed = derive_seed(seed, arguments.rounds, name, "install")
        local = method.install(settings, data, result.final, result.states[name], install_seed, silent)
        scores[name] = test.scores(settings.score, result.final, local)
    measured = [test.measured(one) for one in scores.values()]
    figures = {"all": mean(one.union for one in measured)}
    judged = {name: mean(one.products[name] for one in measured) for name in measured[0].products}
    if federation.owner:
        routed = np.empty(len(test.products), np.float32)
        for product, owner in federation.owner.items():
            routed[test.products == product] = scores[owner][test.products == product]
        own = test.measured(routed)
        figures["own"], judged = own.union, dict(own.products)
    return {**figures, **judged}


def _product(data: Path | None, name: str) -> Path:
    if data is None or not (data / name).is_dir():
        sys.exit(f"the federation needs the folder {name} in MVTec layout; say where with --data")
    return data / name


def _normal(product: Path) -> list[Path]:
    return sorted(path for path in (product / "train" / "good").iterdir() if path.suffix.lower() in SUFFIXES)


def _labelled(product: Path) -> list[LabelledImage]:
    paths = sorted(path for path in (product / "test").rglob("*") if path.suffix.lower() in SUFFIXES)
    return [LabelledImage(path, product.name, path.parent.name, None) for path in paths]


def _relit(path: Path, index: int, folder: Path) -> Path:
    target = folder / f"{path.parent.name}-{path.stem}.png"
    if not target.exists():
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32)
        Image.fromarray(LIGHTINGS[index](pixels).clip(0, 255).astype(np.uint8)).save(target)
    return target


def main() -> None:
    """Prints a table per federation in Markdown and, at the end, every figure as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--federation", nargs="+", default=["elpv"])
    parser.add_argument("--data", type=Path, help="folder of product folders in MVTec layout")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--scratch", type=Path, help="keep the features here, for the next run")
    arguments = parser.parse_args()
    known = {"elpv": elpv, "elpv-development": elpv_development, "unlike": unlike, "lightings": lightings}
    everything: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="edgefed-") as temporary:
        scratch = arguments.scratch or Path(temporary)
        for name in arguments.federation:
            make = known.get(name) or dealt_out(name)
            found: dict[str, list[dict[str, float]]] = {variant: [] for variant in arguments.variants}
            for seed in arguments.seeds:
                federation = make(seed, arguments.data, scratch / name / f"images-{seed}")
                for variant in arguments.variants:
                    figures = measure(federation, VARIANTS[variant], arguments, seed, scratch / name)
                    found[variant].append(figures)
                    print(
                        name, seed, variant, {k: round(v, 4) for k, v in figures.items()}, file=sys.stderr, flush=True
                    )
            _print_table(name, found)
            everything[name] = found
    print(json.dumps(everything))


def _print_table(name: str, found: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    columns = list(next(iter(found.values()))[0])
    print(f"\n{name}\n\n| variant | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for variant, runs in found.items():
        cells = []
        for column in columns:
            values = [run[column] for run in runs]
            spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.3f}{spread}")
        print(f"| {variant} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
