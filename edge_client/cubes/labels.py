"""Labels of a scene, from a raster, from points or from polygons."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import CubeFile
from edge_client.cubes.drawn_labels import read_points, read_polygons
from edge_client.cubes.envi import read_envi_plane
from edge_client.cubes.geotiff import read_tiff_plane
from edge_client.cubes.matlab import read_mat_plane
from edge_client.cubes.npz import read_npz_plane
from edge_client.cubes.opening import ENVI_SUFFIXES, NUMPY_SUFFIXES, TIFF_SUFFIXES
from edge_client.cubes.settings import CubeSettings
from models.hsi.scene import check_labels
from protos.errors import InvalidInput

log = logging.getLogger(__name__)

_MOST_CLASSES = 32_767


def read_labels(settings: CubeSettings, cube: CubeFile) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """The labels (h, w) of a cube, 0 unlabelled, and the names of the classes 1, 2, ...

    Raises:
        InvalidInput: the file is missing or damaged, does not fit the cube, or says no class names; a number is outside
            the declared classes; nothing is labelled.
    """
    path = settings.labels
    if path is None:
        raise InvalidInput("site.toml names a cube and no labels; set [data] labels")
    if not path.is_file():
        raise InvalidInput(f"there is no file of labels {path}")
    if path.suffix.lower() == ".csv":
        labels, names = read_points(path, cube, settings.classes)
    elif path.suffix.lower() in (".geojson", ".json"):
        labels, names = read_polygons(path, cube, settings.classes)
    else:
        raster, said = _raster(path, settings.label_variable)
        labels, names = _whole(path, raster), said or settings.classes
        if not names:
            raise InvalidInput(
                f"{path} does not name its classes 1 to {labels.max()}; name them with classes = [...] in site.toml"
            )
        if said and settings.classes and said != settings.classes:
            log.warning("%s names its classes itself: %s; what site.toml names is not used", path, ", ".join(said))
        try:
            check_labels(labels, cube.shape, names)
        except ValueError as error:
            raise InvalidInput(f"{path} does not fit {cube.path}: {error}") from error
    if not labels.any():
        raise InvalidInput(f"{path} labels no pixel of {cube.path}")
    return labels, names


def _raster(path: Path, variable: str | None) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return read_mat_plane(path, variable, "label_variable"), None
    if suffix in NUMPY_SUFFIXES:
        return read_npz_plane(path, variable, "label_variable")
    if suffix in TIFF_SUFFIXES | {".png"}:
        return read_tiff_plane(path)
    if suffix in ENVI_SUFFIXES:
        return read_envi_plane(path)
    raise InvalidInput(
        f"{path} is no file of labels by its name; .mat, ENVI, .tif, .png, .npz, .csv, .geojson are read"
    )


def _whole(path: Path, values: NDArray[np.generic]) -> NDArray[np.int16]:
    """MATLAB keeps whole numbers as floats; anything else than whole numbers is no raster of labels."""
    numbers = values.astype(np.float64) if values.dtype.kind in "biuf" else np.full(1, np.nan)
    if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        raise InvalidInput(f"{path} holds values of the type {values.dtype} that are no whole numbers; labels are")
    if numbers.size and np.abs(numbers).max() > _MOST_CLASSES:
        raise InvalidInput(f"{path} holds the label {numbers.max():g}; classes have the numbers 1 to {_MOST_CLASSES}")
    return numbers.astype(np.int16)
