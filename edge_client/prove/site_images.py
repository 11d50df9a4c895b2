"""Picks from a site's images those that a compiled model is proven on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from edge_client.datasets import NORMAL, LabelledImage
from edge_client.image_files import ImageFiles
from edge_client.prove.exhibit import Exhibit, Role, made_defects
from edge_client.prove.parity import FEWEST_IMAGES

_MOST_OF_A_KIND = 150
_MOST_MADE = 48
_TRAINING = 24  # for the ranges of int8 and its errors

_T = TypeVar("_T")


def site_exhibit(
    training: Sequence[Path], held_out: Sequence[Path], labelled: Sequence[LabelledImage], size: int
) -> Exhibit:
    """All held-out normals, some training normals, and test images evenly from all kinds, or else made defects.

    Args:
        training: normal images that the model was trained on.
        held_out: normal images that it was not.
        labelled: the site's test images, which may be none.
        size: side of the images that the model takes, in pixels.

    Raises:
        InvalidInput: a held-out image cannot be read.
    """
    good = _evenly([image.path for image in labelled if image.defect == NORMAL], _MOST_OF_A_KIND)
    bad = _evenly([image.path for image in labelled if image.defect != NORMAL], _MOST_OF_A_KIND)
    learnt = _evenly(training, max(_TRAINING, FEWEST_IMAGES - len(held_out) - len(good) - len(bad)))
    kinds: list[tuple[Role, Sequence[Path]]] = [
        ("held-out normal", held_out),
        ("training normal", learnt),
        ("test normal", good),
        ("test defect", bad),
    ]
    roles = [role for role, paths in kinds for _ in paths]
    files = ImageFiles([path for _, paths in kinds for path in paths])
    made = [] if bad else made_defects(ImageFiles(_evenly(held_out, _MOST_MADE)), seed=0)
    made_roles: list[Role] = ["made defect"] * len(made)
    return Exhibit(files, (*roles, *made_roles), size, tuple(made))


def _evenly(items: Sequence[_T], at_most: int) -> list[_T]:
    if len(items) <= at_most:
        return list(items)
    return [items[number] for number in np.linspace(0, len(items) - 1, at_most).round().astype(int)]
