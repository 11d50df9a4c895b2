"""Labelled images whose features are made once, so that many models can be measured on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.datasets import LabelledImage
from edge_client.image_files import ImageFiles, fingerprint
from models.backbones.registry import BACKBONES, weights_file
from models.feature_cache import cached_features
from models.features import PatchFeatures, extract
from models.feddymem.scorer import Scorer
from models.feddymem.settings import Features, Score
from models.method import Arrays, SiteData
from models.metrics import auroc


@dataclass(frozen=True)
class Measured:
    """Image AUROC of one model on labelled images.

    Attributes:
        union: over all images.
        products: product -> over its images.
    """

    union: float
    products: Mapping[str, float]


class LabelledSet:
    """Labelled images with their features on disk.

    Args:
        images: normal and anomalous ones of every product.
        features: of the jobs whose models will be measured.
        scratch: a folder for the features.
    """

    def __init__(self, images: Sequence[LabelledImage], features: Features, scratch: Path) -> None:
        self.products = np.array([image.product for image in images])
        self.anomalous = np.array([image.defect != "good" for image in images])
        paths = [image.path for image in images]
        weights = weights_file(features.backbone, {})
        network = PatchFeatures(features.backbone, features.stages, weights)
        width = sum(BACKBONES[features.backbone].widths[stage] for stage in features.stages)

        def extracted(block: Sequence[NDArray[np.uint8]]) -> NDArray[np.float16]:
            return extract(network, block, features.image_size)

        self._cache = cached_features(ImageFiles(paths), extracted, width, scratch, f"{features} {paths}", silent)

    def scores(self, score: Score, bank: Arrays, local: Arrays) -> NDArray[np.float32]:
        """The raw score (n,) of every image by the model of a global memory and a site's own arrays."""
        scorer = Scorer(score, bank, local)
        return np.concatenate([scorer.score(block).image for _, block in self._cache.blocks()])

    def measured(self, scores: NDArray[np.float32]) -> Measured:
        """AUROC of scores (n,) of every image."""
        parts = {str(name): self.products == name for name in np.unique(self.products)}
        return Measured(
            union=auroc(scores, self.anomalous),
            products={name: auroc(scores[part], self.anomalous[part]) for name, part in parts.items()},
        )


def site_data(name: str, paths: Sequence[Path], scratch: Path) -> SiteData:
    """A site of a simulated job; sites and runs over the same images share their features under `scratch`."""
    made_of = fingerprint(paths)
    folder = scratch / made_of[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return SiteData(ImageFiles(paths), made_of, {}, folder, name)


def silent(stage: str, step: int, steps: int) -> None:
    """A report that nobody reads."""
