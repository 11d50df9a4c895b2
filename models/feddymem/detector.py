"""The detector that a site runs: its backbone, the global memory, and what it kept for itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.features import PatchFeatures, extract
from models.feddymem.graph import ScoringGraph
from models.feddymem.scorer import Scorer, Scores
from models.feddymem.settings import Settings
from models.method import Arrays


class Detector:
    """Scores images against the memory that the sites made together.

    Args:
        settings: of the job.
        weights: the backbone's file, see `models.backbones.registry.weights_file`.
        bank: the job's final global memory.
        local: what `install` gave at this site; its "calibration" are the scores (n,) of held-out normals.

    Raises:
        Unusable: the weights file does not fit the backbone.
        ValueError: `bank` is not a memory bank of the backbone's width.
    """

    def __init__(self, settings: Settings, weights: Path, bank: Arrays, local: Arrays) -> None:
        chosen = settings.features
        self._features = PatchFeatures(chosen.backbone, chosen.stages, weights)
        self._size = chosen.image_size
        if (width := bank["rows"].shape[-1]) != sum(self._features.widths):
            raise ValueError(f"the memory has {width} features where {chosen.backbone} gives {self._features.widths}")
        self._score = settings.score
        self._scorer = Scorer(settings.score, bank, local)

    def graph(self) -> ScoringGraph:
        """This detector as one network with memory and generator as inputs, for export."""
        return ScoringGraph(self._features, self._score, generator=self._scorer.generator is not None).eval()

    def score(self, images: Sequence[NDArray[np.uint8]]) -> Scores:
        """Scores of images (h, w, 3) uint8 in red, green, blue; their sizes may differ, at least one image."""
        return self._scorer.score(extract(self._features, images, self._size))

    def raw(self, images: Sequence[NDArray[np.uint8]]) -> Scores:
        """As `score`, with maps that are not smoothed."""
        return self._scorer.raw(extract(self._features, images, self._size))
