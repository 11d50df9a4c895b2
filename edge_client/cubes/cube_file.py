"""A cube in a file, read a few rows at a time.

h and w are the scene's height and width in pixels, b the number of its bands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protos.errors import InvalidInput

WAVELENGTHS = ("wavelengths", "wavelength", "wavelengths_nm", "wavelength_nm", "wavelengths_um", "wavelength_um")
"""How arrays of a file are called that hold the wavelengths of its cube."""
_UNSAID = ("", "unknown")
_UNITS = dict.fromkeys(("nanometers", "nanometres", "nanometer", "nm"), 1.0)
_UNITS |= dict.fromkeys(("micrometers", "micrometres", "micrometer", "microns", "um", "µm", "μm"), 1000.0)


@dataclass(frozen=True)
class Georeference:
    """Where a scene lies on the earth.

    Attributes:
        crs: coordinate reference system as WKT, "" where the file gives coordinates without one.
        transform: (a, b, c, d, e, f): the corner of a pixel lies at x = a column + b row + c, y = d column + e row + f.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class CubeFile:
    """What a file says of a cube, and its values.

    Attributes:
        path: of the file.
        shape: (h, w, b).
        dtype: of its values, integers or floats.
        rows: `rows(start, stop)` reads (stop - start, w, b).
        wavelengths: (b,) float32 in nanometres, or None where the file does not say.
        good_bands: (b,) bool, False for those that the file's own list calls bad.
        no_data: the value that stands for "nothing seen", or None.
        georeference: or None.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    rows: Callable[[int, int], NDArray[np.generic]]
    good_bands: NDArray[np.bool_]
    wavelengths: NDArray[np.float32] | None = None
    no_data: float | None = None
    georeference: Georeference | None = None


def from_array(path: Path, array: NDArray[np.generic], wavelengths: NDArray[np.generic] | None = None) -> CubeFile:
    """A cube that lies in memory, or is mapped into it. Raises `InvalidInput` where the array is no cube."""
    height, width, bands = cube_shape(path, array.shape, array.dtype)
    if wavelengths is not None and wavelengths.size != bands:
        raise InvalidInput(
            f"{path} has {bands} bands and {wavelengths.size} wavelengths; is the cube transposed? It must be"
            f" (rows, columns, bands), and is {array.shape}"
        )
    return CubeFile(
        path,
        (height, width, bands),
        array.dtype,
        lambda start, stop: array[start:stop],
        np.ones(bands, bool),
        None if wavelengths is None else nanometres(wavelengths),
    )


def cube_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> tuple[int, int, int]:
    """The shape of a cube. Raises `InvalidInput` where it is none, or holds no real numbers."""
    if len(shape) != 3 or 0 in shape:
        raise InvalidInput(f"{path} holds an array of the shape {shape}, and a cube is (rows, columns, bands)")
    if dtype.kind not in "iuf":
        raise InvalidInput(f"{path} holds values of the type {dtype}; a cube holds integers or floats")
    return shape[0], shape[1], shape[2]


def nanometres(wavelengths: NDArray[np.generic], unit: str = "") -> NDArray[np.float32] | None:
    """Wavelengths in nanometres; None where the unit is another one than of lengths of light, such as an index.

    Where no unit is said they are micrometres if none is over 100.
    """
    values, said = wavelengths.ravel().astype(np.float64), unit.strip().casefold()
    if said in _UNSAID:
        return (values * 1000 if values.max() < 100 else values).astype(np.float32)
    return (values * _UNITS[said]).astype(np.float32) if said in _UNITS else None


def which_array(path: Path, found: dict[str, tuple[int, ...]], axes: int, variable: str | None, key: str) -> str:
    """The name of the array that is meant, out of those in a file.

    Args:
        path: of the file.
        found: name -> shape of all arrays in it.
        axes: how many axes the wanted one has.
        variable: its name, where the user said it.
        key: of `site.toml` that says it.

    Raises:
        InvalidInput: there is none, or there are several; they are listed.
    """
    listed = ", ".join(f"{name} {shape}" for name, shape in found.items()) or "none"
    if variable is not None:
        if variable in found:
            return variable
        raise InvalidInput(f"{path} has no array {variable!r}; there is {listed}")
    # MATLAB has no vectors: what has one row or one column is one.
    fitting = [name for name, shape in found.items() if len(shape) == axes and (axes > 2 or 1 not in shape)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        shape = "rows, columns, bands" if axes > 2 else "rows, columns"
        raise InvalidInput(f"{path} holds no array of the shape ({shape}); there is {listed}")
    raise InvalidInput(
        f'{path} holds {len(fitting)} arrays of {axes} axes: which one is meant? Say {key} = "NAME" in site.toml;'
        f" there is {listed}"
    )
