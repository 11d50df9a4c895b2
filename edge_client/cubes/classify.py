"""Classifies every pixel of a cube, a strip of rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.survey import Survey
from edge_client.cubes.view import CubeView
from models.hsi.projection import Projection
from models.hsi.strips import padded, rows_needed
from models.hsi.windows import check_size
from models.method import Report
from protos.errors import InvalidInput

Predict = Callable[[NDArray[np.float32]], NDArray[np.integer]]
"""`predict(part)` gives the classes (r, w), from 1, of a padded part (r + s - 1, w + s - 1, c) of a scene."""


def classify(
    cube: CubeView, projection: Projection, window: int, predict: Predict, report: Report
) -> NDArray[np.int16]:
    """The class (h, w) of every pixel, 0 where there is no data; memory is needed for a strip and for this map.

    Args:
        cube: with the bands that the projection was fitted on.
        projection: of the model.
        window: side of the model's windows, s.
        predict: of the model.
        report: told how many rows are done.

    Raises:
        InvalidInput: the cube has other bands, is smaller than a window, or has faulty bands.
    """
    height, width = cube.shape[:2]
    survey, classes = Survey(cube), np.zeros((height, width), np.int16)
    try:
        check_size(cube.shape, window)
        for start, stop in cube.strips():
            first, last = rows_needed(start, stop, window, height)
            spectra, valid = cube.rows(first, last)
            survey.add(spectra, valid)
            part = padded(projection.apply(spectra, valid), first, start, stop, window, height)
            classes[start:stop] = np.where(valid[start - first : stop - first], predict(part), 0)
            report("classifying", stop, height)
    except ValueError as error:
        raise InvalidInput(f"{cube.file.path} cannot be classified: {error}") from error
    survey.finish()
    return classes
