"""How abnormal patches are against a memory: the one scoring path of calibration, evaluation and the line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.feddymem.generator import apply, generator_from_arrays
from models.feddymem.settings import Score
from models.memory import from_arrays
from models.method import Arrays
from models.scoring import cell_scales, image_scores, nearest_distance, smooth_maps


class Scores(NamedTuple):
    """Anomaly scores of b images; higher is more anomalous, 0 is a patch that the memory holds.

    Attributes:
        image: (b,) float32.
        map: (b, gh, gw) float32, per patch and smoothed unless they are raw; row 0 is the top of the image.
    """

    image: NDArray[np.float32]
    map: NDArray[np.float32]


class Scorer:
    """Distance of each patch, moved by the site's generator where it has one, to the nearest row of the memory.

    Args:
        score: the job's score settings.
        bank: the global memory's tensors, "rows" (m, d) and "counts" (m,).
        local: what `install` gave at this site.

    Attributes:
        generator: of the site, or None.

    Raises:
        KeyError, ValueError: `bank` is not a memory bank, or `local` holds a generator that is none for its rows.
    """

    def __init__(self, score: Score, bank: Arrays, local: Arrays) -> None:
        rows = from_arrays(bank).rows
        self._score = score
        self.generator = generator_from_arrays(local)
        if self.generator is not None and sum(self.generator.widths) != rows.shape[1]:
            raise ValueError(f"the generator takes {sum(self.generator.widths)} features, rows have {rows.shape[1]}")
        self._rows = rows
        self._scales = cell_scales(rows) if score.cell_scale else np.ones(len(rows), np.float32)

    def score(self, features: NDArray[np.float16]) -> Scores:
        """Scores of features (b, gh, gw, d)."""
        images, maps = self.raw(features)
        return Scores(images, smooth_maps(maps))

    def raw(self, features: NDArray[np.float16]) -> Scores:
        """Scores of features (b, gh, gw, d) with the map as it is, which a compiled model is held against."""
        patches = features.reshape(-1, features.shape[-1]).astype(np.float32)
        distances = nearest_distance(apply(self.generator, patches), self._rows, self._scales)
        maps = distances.reshape(features.shape[:3])
        images = image_scores(maps, self._score.rule, self_normalise=self._score.self_normalise)
        return Scores(images, maps)
