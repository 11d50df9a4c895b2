"""The demo's four sites: the quadrants of the Indian Pines scene, each with the labels that it may train on.

AVIRIS, Indiana, 1992: 145 x 145 pixels, 200 bands of uint16 counts, 16 classes. Baumgardner, Biehl and Landgrebe,
CC BY 3.0; it comes with the package `tensorly`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.hsi.scene import Scene
from models.hsi.splits import Split, disjoint_split, random_split
from protos.errors import InvalidInput

Kind = Literal["disjoint", "random"]

CLASSES: Final = (
    "Alfalfa", "Corn-notill", "Corn-mintill", "Corn", "Grass-pasture", "Grass-trees", "Grass-pasture-mowed",
    "Hay-windrowed", "Oats", "Soybean-notill", "Soybean-mintill", "Soybean-clean", "Wheat", "Woods",
    "Buildings-Grass-Trees-Drives", "Stone-Steel-Towers",
)  # fmt: skip
FIELDS: Final = ("field-nw", "field-ne", "field-sw", "field-se")


@cache
def indian_pines() -> Scene:
    """The whole scene with all of its labels. Raises `InvalidInput` where the package is missing."""
    try:
        from tensorly.datasets import load_indian_pines
    except ImportError as error:
        raise InvalidInput("the demo needs the package tensorly: pip install 'edgefed[demo]'") from error
    data = load_indian_pines()
    labels, wavelengths = data["ticks"]
    labels = np.asarray(labels, np.int16)
    cube = np.asarray(data["tensor"]).astype(np.uint16)
    return Scene(cube, labels, CLASSES, np.ones(labels.shape, bool), np.asarray(wavelengths, np.float32))


@dataclass(frozen=True, eq=False)
class Draw:
    """Who may train on which pixels, and which are tested.

    Attributes:
        split: of the whole scene's labelled pixels; no test window reads a pixel of a training window if disjoint.
        whole: the scene with the labels of the training pixels alone.
        fields: site -> its quadrant of `whole`.
    """

    split: Split
    whole: Scene
    fields: Mapping[str, Scene]

    @property
    def truth(self) -> NDArray[np.int16]:
        """The classes (m,) of the test pixels."""
        return np.asarray(indian_pines().labels[tuple(self.split.test.T)])

    def digest(self) -> str:
        """SHA-256 over the training and the test pixels, so that two reports can be seen to share a split."""
        parts = [np.ascontiguousarray(side, dtype="<i8").tobytes() for side in (self.split.train, self.split.test)]
        return hashlib.sha256(b"/".join(parts)).hexdigest()


def draw(kind: Kind, seed: int, window: int) -> Draw:
    """The same for the same seed: at most 50 training pixels of each class, dealt to the fields that they lie in."""
    scene = indian_pines()
    split = (disjoint_split if kind == "disjoint" else random_split)(scene.labels, window, seed=seed)
    whole = scene.labelled_at(split.train)
    return Draw(split, whole, {site: _part(whole, *where) for site, where in zip(FIELDS, _corners(), strict=True)})


def write_field(field: Scene, folder: Path) -> tuple[Path, Path]:
    """Writes what a site owns: its cube and its labels."""
    folder.mkdir(parents=True)
    cube, labels = folder / "cube.npz", folder / "labels.npz"
    np.savez(cube, cube=field.cube, wavelengths=np.asarray(field.wavelengths))
    np.savez(labels, labels=field.labels, class_names=np.array(field.class_names))
    return cube, labels


def _corners() -> list[tuple[slice, slice]]:
    height, width = indian_pines().labels.shape
    rows, columns = ((slice(0, length // 2), slice(length // 2, length)) for length in (height, width))
    return [(down, across) for down in rows for across in columns]


def _part(whole: Scene, rows: slice, columns: slice) -> Scene:
    return replace(
        whole,
        cube=whole.cube[rows, columns],
        labels=whole.labels[rows, columns],
        valid=whole.valid[rows, columns],
    )
