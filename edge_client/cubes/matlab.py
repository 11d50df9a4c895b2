"""MATLAB files: `.mat` of version 5 through scipy, of version 7.3 (HDF5) through h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import WAVELENGTHS, CubeFile, cube_shape, from_array, nanometres, which_array
from edge_client.cubes.mat5 import read_mat5
from protos.errors import InvalidInput

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_AT = 512  # MATLAB puts a text of its own before it


def open_mat_cube(path: Path, variable: str | None) -> CubeFile:
    """The cube in a `.mat` file; one of version 7.3 is read a few rows at a time.

    Raises:
        InvalidInput: it cannot be read, or holds no cube or several; all arrays are listed.
    """
    if not _is_hdf5(path):
        arrays = read_mat5(path)
        shapes = {name: array.shape for name, array in arrays.items()}
        name = which_array(path, shapes, 3, variable, "variable")
        return from_array(path, arrays[name], _wavelengths(arrays, arrays[name].shape[-1]))
    said = _hdf5_arrays(path)
    shapes = {name: shape for name, (shape, _) in said.items()}
    name = which_array(path, shapes, 3, variable, "variable")
    values = {key: _hdf5_array(path, key) for key in WAVELENGTHS if key in shapes}
    dtype = said[name][1]
    height, width, bands = cube_shape(path, shapes[name], dtype)
    wavelengths = _wavelengths(values, bands)
    return CubeFile(
        path,
        (height, width, bands),
        dtype,
        lambda start, stop: _hdf5_array(path, name, (start, stop)),
        np.ones(bands, bool),
        None if wavelengths is None else nanometres(wavelengths),
    )


def read_mat_plane(path: Path, variable: str | None, key: str) -> NDArray[np.generic]:
    """The array (h, w) of a `.mat` file. Raises `InvalidInput` as `open_mat_cube`; `key` is named in it."""
    if _is_hdf5(path):
        shapes = {name: shape for name, (shape, _) in _hdf5_arrays(path).items()}
        return _hdf5_array(path, which_array(path, shapes, 2, variable, key))
    arrays = read_mat5(path)
    return arrays[which_array(path, {name: array.shape for name, array in arrays.items()}, 2, variable, key)]


def _wavelengths(arrays: dict[str, NDArray[np.generic]], bands: int) -> NDArray[np.generic] | None:
    fitting = [arrays[name] for name in WAVELENGTHS if name in arrays and arrays[name].size == bands]
    return fitting[0] if fitting else None


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HDF5_AT + len(_HDF5))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    return head.startswith(_HDF5) or head[_HDF5_AT:] == _HDF5


def _hdf5_arrays(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """MATLAB's shape of every array, and its type: HDF5 has its axes in reverse."""
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            found = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            return {name: (item.shape[::-1], item.dtype) for name, item in found.items()}
    except Exception as error:  # the library raises whatever the damage leads it to
        raise InvalidInput(f"{path} is damaged, or no MATLAB file: {error}") from error


def _hdf5_array(path: Path, name: str, rows: tuple[int, int] | None = None) -> NDArray[np.generic]:
    """An array with MATLAB's order of axes, all of it or some rows."""
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name][..., slice(*rows) if rows else slice(None)]).T
    except Exception as error:  # as above
        raise InvalidInput(f"{path} is damaged: {error}") from error


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise InvalidInput(f"{path} is a MATLAB 7.3 file; reading it needs: pip install 'edgefed[cubes]'") from error
    return h5py
