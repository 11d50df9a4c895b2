"""The labelled scene of a site, read from its files and checked."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.labels import read_labels
from edge_client.cubes.opening import open_cube
from edge_client.cubes.settings import CubeSettings
from edge_client.cubes.survey import Survey
from edge_client.cubes.view import CubeView, view
from models.hsi.scene import Scene
from protos.errors import InvalidInput, StateError

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 256 << 20


def load_scene(settings: CubeSettings, kept: Path) -> Scene:
    """The cube and its labels; a cube of more than 256 MiB is kept in a file and mapped.

    Args:
        settings: of the site.
        kept: that file; it is overwritten.

    Raises:
        InvalidInput: files that are missing, damaged or do not fit each other, faulty bands, labels without a name.
        StateError: the disk has no room.
    """
    if settings.cube is None:
        raise InvalidInput("the site's configuration names no cube; set [data] cube in site.toml")
    file = open_cube(settings.cube, settings.variable)
    labels, names = read_labels(settings, file)
    chosen = view(file, settings)
    cube, valid = _read(chosen, kept)
    if dropped := int((labels[~valid] != 0).sum()):
        log.warning("%d labelled pixels of %s have no data and are left out", dropped, file.path)
        labels[~valid] = 0
    scene = Scene(cube, labels, names, valid, chosen.wavelengths)
    if missing := [name for name, count in scene.counts.items() if not count]:
        log.warning("no pixel of %s is labelled %s; it cannot teach that", file.path, " or ".join(missing))
    return scene


def _read(chosen: CubeView, kept: Path) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    survey, valid = Survey(chosen), np.zeros(chosen.shape[:2], bool)
    size = int(np.prod(chosen.shape, dtype=np.int64)) * chosen.dtype.itemsize
    cube: NDArray[np.generic]
    if size <= IN_MEMORY_BYTES:
        cube = np.empty(chosen.shape, chosen.dtype)
    else:
        # A mapped file that finds no room when it is written to ends the process.
        if size > (free := shutil.disk_usage(kept.parent).free):
            raise StateError(f"{kept.parent} has {free >> 20} MiB of room, and {chosen.file.path} needs {size >> 20}")
        cube = np.lib.format.open_memmap(kept, "w+", chosen.dtype, chosen.shape)
    for start, stop in chosen.strips():
        spectra, valid[start:stop] = chosen.rows(start, stop)
        survey.add(spectra, valid[start:stop])
        cube[start:stop] = spectra
    survey.finish()
    return cube, valid
