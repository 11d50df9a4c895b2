"""Where a raster lies on the earth, as GDAL reads it from its file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_client.cubes.cube_file import Georeference
from protos.errors import InvalidInput


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A raster opened by rasterio. Raises `InvalidInput` where that is missing, or the file is none or damaged."""
    rasterio = rasterio_for(path)
    try:
        # A raster without georeference is no fault: what has one keeps it.
        quiet = warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning)
        with quiet, rasterio.open(path) as raster:
            yield raster
    except rasterio.errors.RasterioError as error:
        raise InvalidInput(f"{path} cannot be read as an image: {error.__cause__ or error}") from error


def read_georeference(path: Path) -> Georeference | None:
    """Of a raster file, None where it has none. Raises `InvalidInput` as `opened`."""
    with opened(path) as raster:
        return georeference_of(raster)


def georeference_of(raster: Any) -> Georeference | None:
    """Of an opened raster, None where it has none."""
    if raster.crs is None and raster.transform.is_identity:
        return None
    a, b, c, d, e, f = tuple(raster.transform)[:6]
    return Georeference(raster.crs.to_wkt() if raster.crs else "", (a, b, c, d, e, f))


def rasterio_for(path: Path) -> Any:
    """The library. Raises `InvalidInput` where it is not installed."""
    try:
        import rasterio
        import rasterio.errors
        import rasterio.features
        import rasterio.warp
        import rasterio.windows
    except ImportError as error:
        raise InvalidInput(f"{path} has a georeference; that needs: pip install 'edgefed[cubes]'") from error
    return rasterio
