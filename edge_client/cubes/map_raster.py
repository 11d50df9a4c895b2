"""A classification map as a raster that geographic programs read: GeoTIFF or ENVI, with class names and colours."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.colours import colours
from edge_client.cubes.cube_file import Georeference
from edge_client.cubes.georeference import rasterio_for
from edge_client.plain import one_line
from protos.errors import InvalidInput

_NO_CLASS = "no data"
_MOST = 255
_SEPARATORS = re.compile(r"[,{}\s]+")  # an ENVI header has no way to write these in a name
_DESCRIPTION = re.compile(r"^description = \{[^}]*\}\n", re.MULTILINE)


def write_geotiff(path: Path, classes: NDArray[np.integer], names: tuple[str, ...], place: Georeference | None) -> None:
    """The map (h, w), 0 without a class, as a GeoTIFF of bytes.

    Colours are its palette. Names are in its metadata (CLASS_1 = ...) and in a file .aux.xml beside it, where GDAL and
    what is built on it look for them.

    Raises:
        InvalidInput: over 255 classes, or the file cannot be written.
    """
    palette = {number: (*map(int, rgb), 255 * (number > 0)) for number, rgb in enumerate(_palette(names))}
    with _created(path, "GTiff", classes, place, nodata=0, compress="deflate") as raster:
        raster.write(classes.astype(np.uint8), 1)
        raster.write_colormap(1, palette)
        raster.update_tags(**{f"CLASS_{number}": name for number, name in enumerate(names, start=1)})
    categories = "".join(f"<Category>{escape(one_line(name))}</Category>" for name in (_NO_CLASS, *names))
    band = f'<PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames></PAMRasterBand>'
    _write(path.with_name(path.name + ".aux.xml"), f"<PAMDataset>{band}</PAMDataset>\n")


def write_envi(path: Path, classes: NDArray[np.integer], names: tuple[str, ...], place: Georeference | None) -> None:
    """The map (h, w), 0 without a class, as an ENVI classification: bytes in `path`, the rest in a .hdr beside it.

    Raises:
        InvalidInput: over 255 classes, or the file cannot be written.
    """
    palette = _palette(names)
    plain = [_SEPARATORS.sub(" ", one_line(name)).strip() for name in (_NO_CLASS, *names)]
    with _created(path, "ENVI", classes, place) as raster:
        raster.write(classes.astype(np.uint8), 1)
    header = path.with_suffix(".hdr")
    lines = [
        f"classes = {len(names) + 1}",
        f"class names = {{{', '.join(plain)}}}",
        f"class lookup = {{{', '.join(str(part) for rgb in palette for part in rgb)}}}",
    ]
    text = header.read_text(encoding="utf-8").replace("ENVI Standard", "ENVI Classification")
    text = _DESCRIPTION.sub("", text)  # a path of this machine
    _write(header, text.rstrip("\n") + "\n" + "\n".join(lines) + "\n")
    path.with_name(path.name + ".aux.xml").unlink(missing_ok=True)  # repeats the header


def _palette(names: tuple[str, ...]) -> list[tuple[int, int, int]]:
    if len(names) > _MOST:
        raise InvalidInput(f"a map of bytes holds {_MOST} classes, not {len(names)}")
    return [(int(r), int(g), int(b)) for r, g, b in colours(len(names))]


def _created(path: Path, driver: str, classes: NDArray[np.integer], place: Georeference | None, **more: Any) -> Any:
    rasterio = rasterio_for(path)
    where = {} if place is None else {"crs": place.crs or None, "transform": rasterio.Affine(*place.transform)}
    height, width = classes.shape
    try:
        with warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning):
            return rasterio.open(
                path, "w", driver=driver, height=height, width=width, count=1, dtype="uint8", **where, **more
            )
    except rasterio.errors.RasterioError as error:
        raise InvalidInput(f"{path} cannot be written: {error}") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
