"""numpy files: `.npz` with named arrays, and `.npy`. Never pickled objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import CubeFile, from_array, which_array
from protos.errors import InvalidInput

_NANOMETRES = ("wavelengths", "wavelength", "wavelengths_nm", "wavelength_nm")
_MICROMETRES = ("wavelength_um", "wavelengths_um")


def open_npz_cube(path: Path, variable: str | None) -> CubeFile:
    """The cube in a `.npz` file, with its wavelengths where there is an array of that name; or a `.npy`, mapped.

    Raises:
        InvalidInput: it cannot be read, or holds no cube or several; all arrays are listed.
    """
    arrays = read_arrays(path)
    name = which_array(path, {key: array.shape for key, array in arrays.items()}, 3, variable, "variable")
    wavelengths = next((arrays[key] for key in _NANOMETRES if key in arrays), None)
    if wavelengths is None:
        wavelengths = next((arrays[key] * 1000 for key in _MICROMETRES if key in arrays), None)
    return from_array(path, arrays[name], wavelengths)


def read_npz_plane(path: Path, variable: str | None, key: str) -> tuple[NDArray[np.generic], tuple[str, ...] | None]:
    """The array (h, w) and the names in `class_names`, None without. Raises `InvalidInput` as `open_npz_cube`."""
    arrays = read_arrays(path)
    names = arrays.get("class_names")
    shapes = {name: array.shape for name, array in arrays.items() if array.dtype.kind in "biuf"}
    plane = arrays[which_array(path, shapes, 2, variable, key)]
    return plane, None if names is None else tuple(str(name) for name in names.ravel())


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of a file by name; that of a `.npy` is called "array"."""
    try:
        if path.suffix.lower() == ".npy":
            return {"array": np.load(path, mmap_mode="r", allow_pickle=False)}
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # zip and array headers raise whatever the damage leads them to
        raise InvalidInput(f"{path} is damaged, or no numpy file of plain arrays: {error}") from error
