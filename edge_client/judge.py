"""What judges images at a site: a trained model or a compiled one, the same to all who ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_client.calibration import Calibration
from models.scoring import Rule, image_scores


@dataclass(frozen=True)
class Judgement:
    """What a model says of one image.

    Attributes:
        image: (H, W, 3) uint8, as it was read.
        score: higher is more anomalous.
        map: (gh, gw) float32, one per patch.
        hottest: mean of as many of the map's hottest patches as the job's rule looks at.
        read_ms: milliseconds for reading and decoding the file; 0 where the image came as an array.
        score_ms: milliseconds for everything from pixels to score; of a batch, its share.
    """

    image: NDArray[np.uint8]
    score: float
    map: NDArray[np.float32]
    hottest: float
    read_ms: float
    score_ms: float

    @property
    def score_map(self) -> NDArray[np.float32]:
        """The map (gh, gw) in the unit of `score`, so that it can be held against the threshold."""
        return self.map * np.float32(self.score / self.hottest if self.hottest else 1)


class Judge(Protocol):
    """Scores images and knows what its scores mean at this site."""

    @property
    def job(self) -> str:
        """Whose model it is."""

    @property
    def description(self) -> str:
        """What judges and where it runs, in a few words."""

    def judge(self, path: Path) -> Judgement:
        """Reads and scores one image file.

        Raises:
            InvalidInput: it cannot be read.
            StateError: the model gives no number; NaN is above no threshold and would pass as normal.
        """

    def judge_images(self, images: Sequence[NDArray[np.uint8]]) -> list[Judgement]:
        """Scores images (h, w, 3) uint8 in red, green, blue of any sizes together; at least one.

        Raises:
            StateError: see `judge`.
        """

    def calibration(self) -> Calibration | None:
        """What the scores mean; None where no normal image was held out."""


def judgements(
    images: Sequence[NDArray[np.uint8]],
    scores: NDArray[np.float32],
    maps: NDArray[np.float32],
    rule: Rule,
    score_ms: float,
) -> list[Judgement]:
    """One judgement an image.

    Args:
        images: b images (h, w, 3) uint8.
        scores: (b,) float32.
        maps: (b, gh, gw) float32, smoothed.
        rule: of the job.
        score_ms: of one image.

    Raises:
        ValueError: a score or a map is not finite.
    """
    if not (np.isfinite(scores).all() and np.isfinite(maps).all()):
        raise ValueError("its scores are not finite")
    hottest = image_scores(maps, rule, self_normalise=False)
    return [
        Judgement(image, float(score), patches, float(hot), 0.0, score_ms)
        for image, score, patches, hot in zip(images, scores, maps, hottest, strict=True)
    ]
