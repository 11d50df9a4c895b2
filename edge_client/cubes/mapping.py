"""From a cube and a model to a classification map and its files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.classify import classify
from edge_client.cubes.cube_file import Georeference
from edge_client.cubes.opening import ENVI_SUFFIXES, open_cube
from edge_client.cubes.scene_model import SceneModel
from edge_client.cubes.settings import CubeSettings
from edge_client.cubes.view import view
from edge_client.state import disk_errors
from models.method import Report
from protos.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class ClassMap:
    """What a model says of every pixel of a cube.

    Attributes:
        cube: its file.
        classes: (h, w) int16, 0 where there is no data.
        names: of the classes 1, 2, ...
        place: the cube's georeference, or None.
        seconds: that it took.
    """

    cube: Path
    classes: NDArray[np.int16]
    names: tuple[str, ...]
    place: Georeference | None
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Class name -> pixels."""
        found = np.bincount(self.classes.ravel(), minlength=len(self.names) + 1)[1:]
        return {name: int(count) for name, count in zip(self.names, found, strict=True)}


def map_cube(path: Path, model: SceneModel, settings: CubeSettings, report: Report) -> ClassMap:
    """Classifies a cube, strip by strip.

    Args:
        path: of the cube.
        model: its classes, its bands, and the wavelengths that the cube is resampled to.
        settings: of the site: which bands count, which value is no data. Its own cube and labels play no part.
        report: told how many rows are done.

    Raises:
        InvalidInput: the cube cannot be read, or does not fit the model.
    """
    started = time.perf_counter()
    file = open_cube(path, settings.variable)
    wanted = np.array(model.wavelengths)
    chosen = view(file, settings, wanted if wanted.size else None)
    classes = classify(chosen, model.projection, model.window, model.predict, report)
    return ClassMap(path, classes, model.classes, file.georeference, time.perf_counter() - started)


def write_map(found: ClassMap, folder: Path) -> dict[str, Path]:
    """Writes a picture and a GeoTIFF, and of an ENVI cube an ENVI classification too; kind -> path.

    Raises:
        InvalidInput: the folder is the cube's own, or a file cannot be written.
        StateError: the disk has no room.
    """
    from edge_client.cubes.map_picture import draw_map
    from edge_client.cubes.map_raster import write_envi, write_geotiff

    if folder.resolve() == found.cube.parent.resolve():
        raise InvalidInput(f"maps in {folder} would mix with the cube's files; name another folder")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        stem = found.cube.stem
        paths = {"png": folder / f"{stem}.png", "geotiff": folder / f"{stem}.tif"}
        draw_map(found.classes, found.names).save(paths["png"])
    write_geotiff(paths["geotiff"], found.classes, found.names, found.place)
    if found.cube.suffix.lower() in ENVI_SUFFIXES:
        paths["envi"] = folder / f"{stem}.img"
        write_envi(paths["envi"], found.classes, found.names, found.place)
    return paths
