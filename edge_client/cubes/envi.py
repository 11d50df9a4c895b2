"""ENVI images: raw values, mapped into memory, beside a header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import CubeFile, Georeference, nanometres
from edge_client.cubes.envi_header import EnviHeader, read_header
from edge_client.cubes.georeference import read_georeference
from protos.errors import InvalidInput

_IMAGE_SUFFIXES = ("", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip")


def open_envi_cube(path: Path) -> CubeFile:
    """The cube of a header or of the image beside it; nothing is read before its rows are asked for.

    Raises:
        InvalidInput: header or image are missing or damaged, or the image is not as long as the header says.
    """
    header, image = read_header(_header_of(path)), _image_of(path)
    _mapped(header, image)
    wavelengths, good = header.numbers("wavelength"), header.numbers("bbl")
    ignored = header.entries.get("data ignore value")
    try:
        no_data = None if ignored is None else float(ignored)
    except ValueError as error:
        raise InvalidInput(f"the header {header.path} has the data ignore value {ignored!r}") from error
    return CubeFile(
        path,
        (header.lines, header.samples, header.bands),
        header.dtype.newbyteorder("="),
        # Mapped anew for each part: pages that were read would stay, and count as memory of this process.
        lambda start, stop: _native(_mapped(header, image)[start:stop]),
        np.ones(header.bands, bool) if good is None else np.array(good) != 0,
        None if wavelengths is None else nanometres(np.array(wavelengths), header.entries.get("wavelength units", "")),
        no_data,
        _georeference(header, image),
    )


def read_envi_plane(path: Path) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
    """The only band (h, w) of an ENVI image, and its class names without that of 0, None where it has none.

    Raises:
        InvalidInput: as `open_envi_cube`, or there are several bands.
    """
    header = read_header(_header_of(path))
    if header.bands != 1:
        raise InvalidInput(f"{path} has {header.bands} bands; labels have one")
    names = header.listed("class names")
    return _native(_mapped(header, _image_of(path))[:, :, 0]), names[1:] if names else None


def envi_files(path: Path) -> tuple[Path, Path]:
    """Header and image, by the path of one of them. Raises `InvalidInput` where the other is missing."""
    return _header_of(path), _image_of(path)


def _mapped(header: EnviHeader, image: Path) -> NDArray[np.generic]:
    """The values (h, w, b), mapped into memory whatever their order in the file."""
    h, w, b = header.lines, header.samples, header.bands
    needed = header.offset + h * w * b * header.dtype.itemsize
    try:
        size = image.stat().st_size
    except OSError as error:
        raise InvalidInput(f"{image} cannot be read: {error.strerror}") from error
    # What is longer is as wrong as what is shorter: every value would be read from another pixel or band.
    if size != needed:
        raise InvalidInput(
            f"{image} has {size} bytes, and its header {header.path} promises {needed}: {h} x {w} pixels, {b} bands"
            f" of {header.dtype}; one of them is damaged, or lines, samples, bands or data type are not the image's"
        )
    stored, back = {"bsq": ((b, h, w), (1, 2, 0)), "bil": ((h, b, w), (0, 2, 1)), "bip": ((h, w, b), (0, 1, 2))}[
        header.interleave
    ]
    return np.memmap(image, header.dtype, "r", header.offset, stored).transpose(back)


def _native(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.asarray(values).astype(values.dtype.newbyteorder("="))


def _header_of(path: Path) -> Path:
    if path.suffix.lower() == ".hdr":
        return path
    candidates = (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr"))
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise InvalidInput(f"{path} has no header: neither {candidates[0].name} nor {candidates[1].name} is beside it")
    return found


def _image_of(path: Path) -> Path:
    if path.suffix.lower() != ".hdr":
        return path
    stem = path.with_suffix("")
    candidates = [stem.with_name(stem.name + suffix) for suffix in _IMAGE_SUFFIXES]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise InvalidInput(f"the image of {path} is missing: there is none of {', '.join(c.name for c in candidates)}")
    return found


def _georeference(header: EnviHeader, image: Path) -> Georeference | None:
    return read_georeference(image) if "map info" in header.entries else None
