"""How well a site's installed model tells normal from defective on labelled images of the site's own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_client.datasets import NORMAL, LabelledImage
from edge_client.images import read_image
from edge_client.judge import Judge
from models.metrics import auroc
from protos.errors import InvalidInput

log = logging.getLogger(__name__)

# Pixel AUROC is measured on pictures of at most this many pixels a side: finer than any patch grid, and bounded.
_PIXEL_SIDE = 256


@dataclass(frozen=True)
class Judged:
    """One test image and its score.

    Attributes:
        image: what it is.
        score: of the model.
        map: scores at the resolution of `mask`, or None where there is no pixel truth for this image.
        mask: True where the defect is, as large as `map`.
    """

    image: LabelledImage
    score: float
    map: NDArray[np.float32] | None
    mask: NDArray[np.bool_] | None

    @property
    def anomalous(self) -> bool:
        """Whether the image lies in a defect's folder."""
        return self.image.defect != NORMAL


@dataclass(frozen=True)
class Quality:
    """Figures over some test images; None where they are not defined, as with normal images alone.

    Attributes:
        images: how many.
        image_auroc: in [0, 1].
        pixel_auroc: in [0, 1]; over normal images and those with a mask.
        false_reject_rate: share of the normal images above the threshold.
        miss_rate: share of the defective images at or below it.
    """

    images: int
    image_auroc: float | None
    pixel_auroc: float | None
    false_reject_rate: float | None
    miss_rate: float | None


def judge_all(model: Judge, images: Sequence[LabelledImage], report: Callable[[int], None]) -> list[Judged]:
    """Scores every image that can be read; one that cannot is named in the log and left out.

    Raises:
        InvalidInput: none can be read.
    """
    judged = []
    for step, image in enumerate(images, start=1):
        try:
            found = model.judge(image.path)
            judged.append(Judged(image, found.score, *_pixel_truth(image, found.map, found.image.shape[:2])))
        except InvalidInput as error:
            log.warning("image skipped: %s", error)
        report(step)
    if not judged:
        raise InvalidInput(f"none of the {len(images)} test images can be read")
    return judged


def quality(judged: Sequence[Judged], threshold: float | None) -> Quality:
    """The figures over some judged images."""
    scores = np.array([one.score for one in judged])
    anomalous = np.array([one.anomalous for one in judged])
    above = scores > (np.inf if threshold is None else threshold)
    with_truth = [(one.map, one.mask) for one in judged if one.map is not None and one.mask is not None]
    pixel = None
    if any(mask.any() for _, mask in with_truth):
        maps, masks = zip(*with_truth, strict=True)
        pixel = auroc(np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks]))
    return Quality(
        images=len(judged),
        image_auroc=auroc(scores, anomalous) if anomalous.any() and not anomalous.all() else None,
        pixel_auroc=pixel,
        false_reject_rate=float(above[~anomalous].mean()) if threshold is not None and not anomalous.all() else None,
        miss_rate=float((~above[anomalous]).mean()) if threshold is not None and anomalous.any() else None,
    )


def by_defect(judged: Sequence[Judged], threshold: float | None) -> dict[str, Quality]:
    """The figures of each kind of defect against all normal images."""
    normal = [one for one in judged if not one.anomalous]
    kinds = sorted({one.image.defect for one in judged if one.anomalous})
    return {kind: quality([*normal, *(one for one in judged if one.image.defect == kind)], threshold) for kind in kinds}


def by_product(judged: Sequence[Judged], threshold: float | None) -> dict[str, Quality]:
    """The figures of each product folder; empty where the data has no such folders."""
    products = sorted({one.image.product for one in judged} - {""})
    return {name: quality([one for one in judged if one.image.product == name], threshold) for name in products}


def _pixel_truth(
    image: LabelledImage, scores: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    if image.defect != NORMAL and image.mask is None:
        return None, None
    factor = min(1.0, _PIXEL_SIDE / max(shape))
    height, width = (max(1, round(side * factor)) for side in shape)
    field = np.asarray(Image.fromarray(scores).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    if image.mask is None:
        return field, np.zeros((height, width), np.bool_)
    mask = Image.fromarray(read_image(image.mask).max(axis=2)).resize((width, height), Image.Resampling.BOX)
    return field, np.asarray(mask) > 0
