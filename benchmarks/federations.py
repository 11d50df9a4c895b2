"""Federations over folders in MVTec layout, by the commands that a user types; prints rows for docs/results.md.

    python -m benchmarks.federations --data IMAGES --products mvtec_screw --sites 3
    python -m benchmarks.federations --data IMAGES --products mvtec_screw magnetic_tile aws_toy_alien

With one product its normal images are dealt out to the sites; with several every site has a product of its own. A
coordinator and the sites run as processes; each site is evaluated on the test images of all products taking part.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgefed.local_federation import LocalFederation

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp"}


def deal_one_product(product: Path, count: int, folder: Path, seed: int) -> dict[str, Path]:
    """Deals a product's normal training images out to `count` sites, as evenly as it goes."""
    images = sorted(path for path in (product / "train" / "good").iterdir() if path.suffix.lower() in SUFFIXES)
    random.Random(seed).shuffle(images)
    return {f"site-{i + 1}": _site(folder / f"site-{i + 1}", images[i::count]) for i in range(count)}


def one_product_each(products: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Gives every site the training images of another product."""
    return {
        product.name.replace("_", "-"): _site(folder / product.name, sorted((product / "train" / "good").iterdir()))
        for product in products
    }


def _site(folder: Path, images: Sequence[Path]) -> Path:
    good = folder / "train" / "good"
    good.mkdir(parents=True)
    for image in images:
        shutil.copy(image, good / image.name)
    return folder


def write_test_set(products: Sequence[Path], folder: Path) -> Path:
    """One test folder with a folder per product, masks included."""
    for product in products:
        for part in ("test", "ground_truth"):
            if (product / part).is_dir():
                shutil.copytree(product / part, folder / product.name / part)
    return folder


def write_job(path: Path, arguments: argparse.Namespace) -> Path:
    """The job file of this run; what is not asked for stays at its default."""
    features = []
    if arguments.image_size:
        features.append(f"image_size = {arguments.image_size}")
    if arguments.stages:
        features.append(f"stages = {json.dumps(arguments.stages)}")
    lines = ['name = "results"', 'method = "feddymem"', f"seed = {arguments.seed}", "[rounds]"]
    lines += [f"count = {arguments.rounds}", "[feddymem.features]", *features]
    if arguments.rule:
        lines += ["[feddymem.score]", f'rule = "{arguments.rule}"']
    if arguments.frozen:
        lines += ["[feddymem.generator]", "enabled = false"]
    path.write_text("\n".join(lines) + "\n")
    return path


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One federation from invitation to verdict; returns what each site measured."""
    products = [arguments.data / name for name in arguments.products]
    data = folder / "data"
    if len(products) == 1:
        sites = deal_one_product(products[0], arguments.sites, data, arguments.seed)
    else:
        sites = one_product_each(products, data)
    test = write_test_set(products, folder / "test-set")
    with LocalFederation(folder / "federation", environment={"EDGEFED_THREADS": "1"}) as federation:
        federation.start_coordinator()
        for site, images in sites.items():
            federation.join(site, images)
            federation.run_site(site)
        name = federation.submit(write_job(folder / "job.toml", arguments))
        status = federation.job("watch", name, show_progress=True)
        evaluations = federation.at_sites(sites, "evaluate", "--data", str(test))
    return {"status": status, "sites": evaluations}


def main() -> None:
    """Prints one JSON document: the settings, each site's evaluation, and means over the sites."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of product folders in MVTec layout")
    parser.add_argument("--products", nargs="+", required=True)
    parser.add_argument("--sites", type=int, default=3, help="with one product: how many sites share it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--stages", nargs="+")
    parser.add_argument("--rule", choices=["max", "top1%", "top3%"])
    parser.add_argument("--frozen", action="store_true", help="switch the generator off")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgefed-") as folder:
        outcome = run(arguments, Path(folder))
    print(json.dumps(outcome, indent=1))


if __name__ == "__main__":
    main()
