"""Opens a cube whatever its format; the name of the file says which one it is."""

from __future__ import annotations

from pathlib import Path

from edge_client.cubes.cube_file import CubeFile
from edge_client.cubes.envi import envi_files, open_envi_cube
from edge_client.cubes.geotiff import open_tiff_cube
from edge_client.cubes.matlab import open_mat_cube
from edge_client.cubes.npz import open_npz_cube
from protos.errors import InvalidInput

ENVI_SUFFIXES = frozenset({".hdr", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip", ""})
TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
NUMPY_SUFFIXES = frozenset({".npz", ".npy"})
FORMATS = ".mat, ENVI (.hdr), GeoTIFF, .npz and .npy"


def is_cube(path: Path) -> bool:
    """Whether the name is that of a cube and of nothing else that EdgeFed reads."""
    return path.suffix.lower() in (ENVI_SUFFIXES - {""}) | NUMPY_SUFFIXES | {".mat"}


def files_of(path: Path) -> tuple[Path, ...]:
    """What a cube or a raster of labels lies in. Raises `InvalidInput` where one file of an ENVI image is missing."""
    return envi_files(path) if path.suffix.lower() in ENVI_SUFFIXES else (path,)


def open_cube(path: Path, variable: str | None = None) -> CubeFile:
    """What a file says of its cube; the values are read when they are asked for.

    Args:
        path: of the file; of an ENVI image either of its two files.
        variable: the array in a `.mat` or `.npz` file, where there are several.

    Raises:
        InvalidInput: it cannot be read, is damaged, or holds no cube or several.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InvalidInput(f"there is no cube {path}")
    if suffix == ".mat":
        return open_mat_cube(path, variable)
    if suffix in NUMPY_SUFFIXES:
        return open_npz_cube(path, variable)
    if suffix in TIFF_SUFFIXES:
        return open_tiff_cube(path)
    if suffix in ENVI_SUFFIXES:
        return open_envi_cube(path)
    raise InvalidInput(f"{path} is no cube by its name; {FORMATS} are read")
