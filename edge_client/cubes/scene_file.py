"""The labelled scene of a site, read from its files and checked."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.labels import read_labels
from edge_client.cubes.opening import open_cube
from edge_client.cubes.settings import CubeSettings
from edge_client.cubes.survey import Survey
from edge_client.cubes.view import CubeView, view
from models.hsi.scene import Scene
from protos.errors import InvalidInput

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 256 << 20


def load_scene(settings: CubeSettings, scratch: Path) -> Scene:
    """The cube and its labels; a cube of more than 256 MiB is kept in a file in `scratch` and mapped.

    Args:
        settings: of the site.
        scratch: a folder for that file.

    Raises:
        InvalidInput: files that are missing, damaged or do not fit each other, faulty bands, labels without a name.
    """
    if settings.cube is None:
        raise InvalidInput("the site's configuration names no cube; set [data] cube in site.toml")
    file = open_cube(settings.cube, settings.variable)
    labels, names = read_labels(settings, file)
    chosen = view(file, settings)
    cube, valid = _read(chosen, scratch)
    if dropped := int((labels[~valid] != 0).sum()):
        log.warning("%d labelled pixels of %s have no data and are left out", dropped, file.path)
        labels[~valid] = 0
    scene = Scene(cube, labels, names, valid, chosen.wavelengths)
    if missing := [name for name, count in scene.counts.items() if not count]:
        log.warning("no pixel is labelled %s; this site cannot teach it", " or ".join(missing))
    return scene


def _read(chosen: CubeView, scratch: Path) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    survey, valid = Survey(chosen), np.zeros(chosen.shape[:2], bool)
    size = int(np.prod(chosen.shape, dtype=np.int64)) * chosen.dtype.itemsize
    cube: NDArray[np.generic]
    if size <= IN_MEMORY_BYTES:
        cube = np.empty(chosen.shape, chosen.dtype)
    else:
        cube = np.lib.format.open_memmap(scratch / "cube.npy", "w+", chosen.dtype, chosen.shape)
    for start, stop in chosen.strips():
        spectra, valid[start:stop] = chosen.rows(start, stop)
        survey.add(spectra, valid[start:stop])
        cube[start:stop] = spectra
    survey.finish()
    return cube, valid
