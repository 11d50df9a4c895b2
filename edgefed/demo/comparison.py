"""What the same method gives without a federation: each site alone, and the pooled images in one place.

The jobs are simulated with the live method values. All are measured on one common test set, whose features are made
once; the bank of a site alone and of the pooled images is as large as the federation's global memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from edge_client.datasets import LabelledImage, labelled_images, training_images
from edge_client.image_files import ImageFiles, fingerprint
from edgefed.simulation import simulate
from models.backbones.registry import BACKBONES, weights_file
from models.feature_cache import FeatureCache, cached_features
from models.features import PatchFeatures, extract
from models.feddymem.scorer import Scorer
from models.method import Arrays, SiteData, derive_seed
from models.metrics import auroc
from protos.jobs import JobSpec


@dataclass(frozen=True)
class Measured:
    """Image AUROC of one model on the common test set.

    Attributes:
        union: over all test images.
        products: product -> over its test images.
        rows: of the memory bank.
    """

    union: float
    products: Mapping[str, float]
    rows: int


@dataclass(frozen=True)
class Comparison:
    """The federation's alternatives.

    Attributes:
        local: site -> its own images alone.
        centralised: the pooled images with as many rows as the federation.
        centralised_larger: the pooled images with as many rows as all sites alone have together.
        centralised_balanced: the pooled images, those of small sites repeated until all sites count alike.
    """

    local: Mapping[str, Measured]
    centralised: Measured
    centralised_larger: Measured
    centralised_balanced: Measured


def compare(spec: JobSpec, sites: Mapping[str, Path], test: Path, scratch: Path, console: Console) -> Comparison:
    """Measures every alternative on the test images under `test`.

    Args:
        spec: the federation's job.
        sites: name -> data folder.
        test: folder of the common test set, a product folder for each product.
        scratch: for feature caches.
        console: gets a line as each alternative is done.
    """
    images = {site: training_images(folder).images for site, folder in sites.items()}
    test_set = _TestSet(spec, labelled_images(test), scratch)
    rows = spec.settings["aggregation"]["rows"]

    def measure(name: str, paths: Sequence[Path], rows: int) -> Measured:
        measured = test_set.measure(*_alone(spec, name, paths, rows, scratch), rows=rows)
        console.print(f"    {name}: {measured.union:.3f}")
        return measured

    pooled = [path for paths in images.values() for path in paths]
    largest = max(len(paths) for paths in images.values())
    balanced = [paths[index % len(paths)] for paths in images.values() for index in range(largest)]
    return Comparison(
        local={site: measure(f"{site} alone", paths, rows) for site, paths in images.items()},
        centralised=measure("pooled, equal rows", pooled, rows),
        centralised_larger=measure("pooled, larger bank", pooled, rows * len(sites)),
        centralised_balanced=measure("pooled, sites balanced", balanced, rows),
    )


def _alone(spec: JobSpec, name: str, paths: Sequence[Path], rows: int, scratch: Path) -> tuple[Arrays, Arrays]:
    """The final memory and the site's own arrays of a job with one site that keeps all its rows."""
    settings = {
        **spec.settings,
        "memory": {**spec.settings["memory"], "rows": rows, "reduce": False},
        "aggregation": {"kmeans": False, "rows": rows},
    }
    alone = spec.model_copy(update={"settings": settings})
    # A folder for each set of images: runs over the same images share their features.
    made_of = fingerprint(paths)
    data = SiteData(ImageFiles(paths), made_of, {}, scratch / made_of[:16], name)
    result = simulate(alone, {name: data})
    seed = derive_seed(spec.seed, spec.rounds.count, name, "install")
    local = alone.the_method.install(alone.the_settings, data, result.final, result.states[name], seed, _silent)
    return result.final, local


class _TestSet:
    """The common test set with its features on disk."""

    def __init__(self, spec: JobSpec, images: Sequence[LabelledImage], scratch: Path) -> None:
        self._score = spec.the_settings.score
        self._products = np.array([image.product for image in images])
        self._anomalous = np.array([image.defect != "good" for image in images])
        self._cache = _features(spec, [image.path for image in images], scratch)

    def measure(self, bank: Arrays, local: Arrays, *, rows: int) -> Measured:
        scorer = Scorer(self._score, bank, local)
        scores = np.concatenate([scorer.score(block).image for _, block in self._cache.blocks()])
        products = {
            str(product): auroc(scores[self._products == product], self._anomalous[self._products == product])
            for product in np.unique(self._products)
        }
        return Measured(auroc(scores, self._anomalous), products, rows)


def _features(spec: JobSpec, paths: Sequence[Path], scratch: Path) -> FeatureCache:
    chosen = spec.the_settings.features
    weights = weights_file(chosen.backbone, {})
    network = PatchFeatures(chosen.backbone, chosen.stages, weights)

    def features(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float16]:
        return extract(network, images, chosen.image_size)

    width = sum(BACKBONES[chosen.backbone].widths[stage] for stage in chosen.stages)
    return cached_features(ImageFiles(paths), features, width, scratch / "test", "test", _silent)


def _silent(stage: str, step: int, steps: int) -> None:
    pass
