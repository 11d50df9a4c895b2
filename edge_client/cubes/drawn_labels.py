"""Labels that somebody set as points or drew as polygons, each with the name of its class."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import CubeFile, Georeference
from edge_client.cubes.georeference import rasterio_for
from protos.errors import InvalidInput

Labels = tuple[NDArray[np.int16], tuple[str, ...]]
_GEOMETRIES = {"Point", "MultiPoint", "Polygon", "MultiPolygon"}
_LONGITUDE_LATITUDE = "EPSG:4326"  # what GeoJSON means where it says nothing
_IN_PIXELS = Georeference("", (1, 0, 0, 0, 1, 0))


def read_points(path: Path, cube: CubeFile, classes: tuple[str, ...]) -> Labels:
    """Points of a CSV file with the columns row, column, class (from 0), or x, y, class in the cube's own coordinates.

    Raises:
        InvalidInput: other columns, a point outside the scene, an unknown class, or a pixel of two classes.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read as CSV: {error}") from error
    names = _class_names(path, (line.get("class") for line in lines), classes)
    labels = np.zeros(cube.shape[:2], np.int16)
    for number, line in enumerate(lines, start=2):
        row, column = _place(path, number, line, cube)
        if not (0 <= row < cube.shape[0] and 0 <= column < cube.shape[1]):
            raise InvalidInput(f"{path}, line {number}: row {row}, column {column} lies outside of {cube.path}")
        _set(labels, (row, column), names.index(line["class"].strip()) + 1, f"{path}, line {number}", names)
    return labels, names


def read_polygons(path: Path, cube: CubeFile, classes: tuple[str, ...]) -> Labels:
    """Features of a GeoJSON file with the property "class"; a pixel is labelled where its centre lies inside.

    Coordinates are longitude and latitude, unless the file names another system; those of a cube without georeference
    are columns and rows, the corner of the first pixel at 0, 0.

    Raises:
        InvalidInput: no such features, none in the scene, an unknown class, or a pixel of two classes.
    """
    features, crs = _features(path)
    names = _class_names(path, [name for name, _ in features], classes)
    rasterio, place = rasterio_for(path), cube.georeference or _IN_PIXELS
    labels = np.zeros(cube.shape[:2], np.int16)
    for number, name in enumerate(names, start=1):
        shapes = [shape for said, shape in features if said.strip() == name]
        if not shapes:
            continue
        try:
            if place.crs:
                shapes = [rasterio.warp.transform_geom(crs, place.crs, shape) for shape in shapes]
            transform = rasterio.Affine(*place.transform)
            inside = rasterio.features.rasterize(shapes, labels.shape, transform=transform, dtype="uint8") > 0
        except Exception as error:  # coordinates are a stranger's: the library raises whatever they lead it to
            raise InvalidInput(f"{path} has shapes of {name!r} that cannot be drawn: {error}") from error
        _set(labels, inside, number, str(path), names)
    if not labels.any():
        raise InvalidInput(f"none of the {len(features)} features of {path} covers a pixel of {cube.path}")
    return labels, names


def _features(path: Path) -> tuple[list[tuple[Any, Any]], str]:
    """Class and geometry of each feature, and the system of their coordinates."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = [feature for feature in content["features"] if feature["geometry"]["type"] in _GEOMETRIES]
        features = [((feature.get("properties") or {}).get("class"), feature["geometry"]) for feature in found]
        crs = str(content.get("crs", {}).get("properties", {}).get("name", _LONGITUDE_LATITUDE))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"{path} is no GeoJSON with features: {error!r}") from error
    if not features:
        raise InvalidInput(f"{path} has no points and no polygons")
    return features, crs


def _place(path: Path, number: int, line: dict[str, str], cube: CubeFile) -> tuple[int, int]:
    try:
        if "row" in line:
            return int(line["row"]), int(line["column"])
        x, y = float(line["x"]), float(line["y"])
        if not np.isfinite([x, y]).all():
            raise ValueError(f"{x}, {y} is no place")
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidInput(
            f"{path}, line {number}: {error}; its columns are row, column, class or x, y, class"
        ) from error
    if cube.georeference is None:
        raise InvalidInput(f"{path} has coordinates x and y, and {cube.path} no georeference; give row and column")
    a, b, c, d, e, f = cube.georeference.transform
    column, row = np.linalg.solve(np.array([[a, b], [d, e]]), np.array([x - c, y - f]))
    return int(np.floor(row)), int(np.floor(column))


def _class_names(path: Path, found: Iterable[Any], classes: tuple[str, ...]) -> tuple[str, ...]:
    named = [name.strip() if isinstance(name, str) and name.isprintable() else "" for name in found]
    if not named:
        raise InvalidInput(f"{path} has no labels in it")
    if "" in named:
        raise InvalidInput(f'{path}: entry {named.index("") + 1} has no name in "class"')
    if classes and (foreign := sorted(set(named) - set(classes))):
        raise InvalidInput(f"{path} names the class {foreign[0]!r}; site.toml declares {', '.join(classes)}")
    return classes or tuple(sorted(set(named)))


def _set(labels: NDArray[np.int16], where: Any, number: int, place: str, names: Sequence[str]) -> None:
    before = labels[where]
    taken = before[(before != 0) & (before != number)]
    if np.size(taken):
        other = names[int(np.ravel(taken)[0]) - 1]
        raise InvalidInput(f"{place}: {np.size(taken)} pixels are both {names[number - 1]} and {other}")
    labels[where] = number
