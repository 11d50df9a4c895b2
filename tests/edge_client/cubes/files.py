"""Writes cubes in the formats that sites have."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CODES = {"uint8": 1, "int16": 2, "float32": 4, "float64": 5, "uint16": 12}
_ORDERS = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}
UTM = 'PROJCS["WGS_1984_UTM_Zone_16N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,' \
    '298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],' \
    'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",-87.0],' \
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'  # fmt: skip
MAP_INFO = (
    f"map info = {{UTM, 1, 1, 500000, 4400000, 20, 20, 16, North,WGS-84}}\ncoordinate system string = {{{UTM}}}\n"
)


def write_envi(
    path: Path, cube: NDArray[np.generic], interleave: str = "bsq", *, more: str = "", order: int = 0, skip: int = 0
) -> Path:
    """Writes `path` and its header; gives the header."""
    values = cube.astype(cube.dtype.newbyteorder(">" if order else "<"))
    path.write_bytes(bytes(skip) + np.ascontiguousarray(values.transpose(_ORDERS[interleave])).tobytes())
    header = path.with_suffix(".hdr")
    header.write_text(
        f"ENVI\ndescription = {{\n a scene}}\nsamples = {cube.shape[1]}\nlines   = {cube.shape[0]}\n"
        f"bands   = {cube.shape[2]}\nheader offset = {skip}\nfile type = ENVI Standard\n"
        f"data type = {_CODES[cube.dtype.name]}\ninterleave = {interleave}\nbyte order = {order}\n{more}"
    )
    return header


def write_tiff(
    path: Path, cube: NDArray[np.generic], *, georeferenced: bool = True, nodata: float | None = None
) -> Path:
    import rasterio
    import rasterio.errors

    transform = rasterio.Affine(20, 0, 500_000, 0, -20, 4_400_000)
    place = {"crs": "EPSG:32616", "transform": transform} if georeferenced else {}
    height, width, bands = cube.shape
    quiet = warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning)
    with (
        quiet,
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=bands,
            dtype=cube.dtype.name,
            nodata=nodata,
            **place,
        ) as raster,
    ):
        raster.write(np.moveaxis(cube, -1, 0))
    return path


def write_mat73(path: Path, **arrays: NDArray[np.generic]) -> Path:
    """As MATLAB does: HDF5 with a text of 512 bytes before it and the axes in reverse."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path
