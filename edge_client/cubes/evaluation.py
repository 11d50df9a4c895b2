"""How well a model classifies the labelled pixels of a cube that it did not train on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.config import Data
from edge_client.cubes.cube_file import CubeFile
from edge_client.cubes.labels import read_labels
from edge_client.cubes.mapping import ClassMap, map_cube
from edge_client.cubes.opening import open_cube
from edge_client.cubes.scene_model import SceneModel
from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.classes import renumbered
from models.hsi.splits import Split, shared_windows
from models.method import Report
from protos.errors import InvalidInput

log = logging.getLogger(__name__)

_ROWS_COMPARED = 8


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What a model is worth on the test pixels of a cube.

    Attributes:
        map: the model's class of every pixel.
        accuracy: on the test pixels that have data.
        shared: how many test pixels have a window that reads a pixel of a window this site trains on; None where that
            is not known, for the site's own training cube cannot be read.
    """

    map: ClassMap
    accuracy: Accuracy
    shared: int | None


def evaluate_cube(cube: Path, labels: Path, model: SceneModel, data: Data, report: Report) -> Evaluated:
    """Classifies a cube and compares its map with test pixels.

    Args:
        cube: its file.
        labels: of the test pixels; raster, points or polygons.
        model: its classes meet those of the labels by name.
        data: of the site: which bands count, what labels are called, and what it trains on.
        report: told how many rows are done.

    Raises:
        InvalidInput: cube or labels cannot be read, or do not fit each other or the model.
    """
    settings = data.of_scene(cube, labels)
    file = open_cube(cube, settings.variable)
    truth, names = read_labels(settings, file)
    try:
        truth = renumbered(truth, names, model.classes)
    except ValueError as error:
        raise InvalidInput(f"{labels} does not fit the model of {model.job}: {error}") from error
    found = map_cube(cube, model, settings, report)
    if dropped := int(((truth > 0) & (found.classes == 0)).sum()):
        log.warning("%d test pixels of %s have no data and are left out", dropped, cube)
    tested = (truth > 0) & (found.classes > 0)
    if not tested.any():
        raise InvalidInput(f"no test pixel of {labels} has data in {cube}")
    figures = accuracy(truth[tested], found.classes[tested], model.classes)
    return Evaluated(found, figures, _shared(file, tested, model.window, data))


def _shared(file: CubeFile, tested: NDArray[np.bool_], window: int, data: Data) -> int | None:
    shared = 0
    try:
        for settings in data.all_scenes:
            if settings.cube is None or settings.labels is None:
                continue
            own = open_cube(settings.cube, settings.variable)
            if _same_scene(own, file):
                train = np.argwhere(read_labels(settings, own)[0] > 0)
                split = Split(train, np.argwhere(tested), "disjoint", window)
                shared = max(shared, shared_windows(split, (tested.shape[0], tested.shape[1])))
    except InvalidInput as error:
        log.warning("whether test pixels share windows with training pixels is not known: %s", error)
        return None
    return shared


def _same_scene(one: CubeFile, other: CubeFile) -> bool:
    """By what they hold: a copy under another name, or in another format, is the same scene."""
    if one.shape != other.shape:
        return False
    rows = np.unique(np.linspace(0, one.shape[0] - 1, _ROWS_COMPARED).astype(int)).tolist()
    return all(np.array_equal(one.rows(row, row + 1), other.rows(row, row + 1), equal_nan=True) for row in rows)
