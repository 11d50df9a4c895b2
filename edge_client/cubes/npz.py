"""numpy files: `.npz` with named arrays, and `.npy`. Never pickled objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import WAVELENGTHS, CubeFile, from_array, which_array
from protos.errors import InvalidInput


def open_npz_cube(path: Path, variable: str | None) -> CubeFile:
    """The cube in a `.npz` file, with its wavelengths where there is an array of that name; or a `.npy`, mapped.

    Raises:
        InvalidInput: it cannot be read, or holds no cube or several; all arrays are listed.
    """
    arrays = read_arrays(path)
    name = which_array(path, {key: array.shape for key, array in arrays.items()}, 3, variable, "variable")
    return from_array(path, arrays[name], next((arrays[key] for key in WAVELENGTHS if key in arrays), None))


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
        # What numpy says of a pickle is advice to trust it.
        why = "objects are never read" if "pickle" in str(error) else str(error)
        raise InvalidInput(f"{path} is damaged, or no numpy file of plain arrays: {why}") from error
