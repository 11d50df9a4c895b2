"""GeoTIFF cubes and label rasters, read by rows with rasterio."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import CubeFile, cube_shape, nanometres
from edge_client.cubes.georeference import georeference_of, opened, rasterio_for
from protos.errors import InvalidInput

_CLASS = re.compile(r"CLASS_(\d{1,4})")


def open_tiff_cube(path: Path) -> CubeFile:
    """The cube of a TIFF file, one band of the file for each; wavelengths are taken from the bands' metadata.

    Raises:
        InvalidInput: it cannot be read, or its bands are of unlike types.
    """
    with opened(path) as raster:
        if len(set(raster.dtypes)) != 1:
            raise InvalidInput(f"{path} has bands of the types {', '.join(sorted(set(raster.dtypes)))}; save it in one")
        dtype = np.dtype(raster.dtypes[0])
        height, width, bands = cube_shape(path, (raster.height, raster.width, raster.count), dtype)
        return CubeFile(
            path,
            (height, width, bands),
            dtype,
            lambda start, stop: _rows(path, start, stop),
            np.ones(bands, bool),
            _wavelengths(raster),
            None if raster.nodata is None else float(raster.nodata),
            georeference_of(raster),
        )


def read_tiff_plane(path: Path) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
    """The only band (h, w) of a TIFF file, and the class names in its metadata (CLASS_1 = ...), None without.

    Raises:
        InvalidInput: it cannot be read, or has several bands.
    """
    with opened(path) as raster:
        if raster.count != 1:
            raise InvalidInput(f"{path} has {raster.count} bands; labels have one")
        tags = {int(match[1]): text for key, text in raster.tags().items() if (match := _CLASS.fullmatch(key))}
        names = tuple(tags[number] for number in sorted(tags)) if sorted(tags) == [*range(1, len(tags) + 1)] else ()
        plane = np.asarray(raster.read(1))
        if raster.nodata is not None:
            plane[plane == raster.nodata] = 0
        return plane, names or None


def _rows(path: Path, start: int, stop: int) -> NDArray[np.generic]:
    with opened(path) as raster:
        window = rasterio_for(path).windows.Window(0, start, raster.width, stop - start)
        return np.ascontiguousarray(np.moveaxis(raster.read(window=window), 0, -1))


def _wavelengths(raster: Any) -> NDArray[np.float32] | None:
    """From each band's metadata, as GDAL writes it when it converts an ENVI file, or in its description."""
    found: list[float] = []
    unit = ""
    for band in range(1, raster.count + 1):
        tags = {key.lower(): text for key, text in raster.tags(band).items()}
        imagery = {key.lower(): text for key, text in raster.tags(band, ns="IMAGERY").items()}
        text = tags.get("wavelength", tags.get("central_wavelength_um", imagery.get("central_wavelength_um")))
        try:
            found.append(float(text or ""))
        except ValueError:
            return None
        unit = "" if "wavelength" in tags else "um"
        unit = tags.get("wavelength_units", unit)
    return nanometres(np.array(found), unit)
