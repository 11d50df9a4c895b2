"""A cube as a model sees it: chosen bands, the job's wavelengths, and where there is nothing to see.

h and w are the scene's height and width in pixels, b the number of bands that are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.cube_file import CubeFile
from edge_client.cubes.settings import Bands, CubeSettings
from models.hsi.resampling import resampling
from protos.errors import InvalidInput

_STRIP_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class CubeView:
    """The bands of a cube that count.

    Attributes:
        file: the cube.
        bands: index of each chosen band in the file.
        wavelengths: (b,) float32 in nanometres, or None where nobody says them.
        no_data: the value that stands for "nothing seen", or None.
        weights: (chosen bands, b) that resample a spectrum, or None where it stays as it is.
    """

    file: CubeFile
    bands: NDArray[np.intp]
    wavelengths: NDArray[np.float32] | None
    no_data: float | None
    weights: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, b)."""
        return *self.file.shape[:2], len(self.bands) if self.weights is None else self.weights.shape[1]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of what `rows` gives."""
        return self.file.dtype if self.weights is None else np.dtype(np.float32)

    def rows(self, start: int, stop: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Spectra (stop - start, w, b), and where they are valid; elsewhere they are 0.

        A pixel is not valid where all its bands are NaN or all are 0, or where a band has the value of `no_data`
        (all bands, if that value is 0: a dark band is no gap).
        """
        spectra = self.file.rows(start, stop)
        if len(self.bands) < self.file.shape[2]:
            spectra = spectra[:, :, self.bands]
        valid = (spectra != 0).any(axis=2)
        if spectra.dtype.kind == "f":
            valid &= ~np.isnan(spectra).all(axis=2)
        if self.no_data is not None and self.no_data != 0:
            valid &= ~(spectra == self.no_data).any(axis=2)
        if self.weights is not None:
            spectra = spectra.astype(np.float32) @ self.weights
        return np.where(valid[:, :, None], spectra, spectra.dtype.type(0)), valid

    def strips(self) -> Iterator[tuple[int, int]]:
        """First row and the one after the last, for parts that need little memory each."""
        height, width, bands = self.file.shape
        rows = max(1, _STRIP_BYTES // (width * bands * 8))
        for start in range(0, height, rows):
            yield start, min(start + rows, height)


def view(file: CubeFile, settings: CubeSettings, wanted: NDArray[np.floating] | None = None) -> CubeView:
    """Chooses bands as the site says, and resamples them to the wavelengths that a job wants.

    Args:
        file: the cube.
        settings: of the site.
        wanted: (b,) in nanometres, or None where the job takes the bands as they are.

    Raises:
        InvalidInput: a band that is not there, no band left, wavelengths that are unknown or do not fit.
    """
    count = file.shape[2]
    keep = file.good_bands.copy()
    if settings.bands:
        keep &= _mask(settings.bands, count, "bands", file)
    keep &= ~_mask(settings.bad_bands, count, "bad_bands", file)
    bands = np.flatnonzero(keep)
    if not len(bands):
        raise InvalidInput(f"no band of {file.path} is left: see bands and bad_bands, and the file's own list")
    wavelengths = _wavelengths(file, settings)
    if wavelengths is not None:
        wavelengths = wavelengths[bands]
        if not (np.isfinite(wavelengths).all() and (wavelengths > 0).all()):
            raise InvalidInput(f"{file.path} has wavelengths that are no positive numbers; see its header or site.toml")
    no_data = file.no_data if settings.no_data is None else settings.no_data
    plain = CubeView(file, bands, wavelengths, no_data)
    return plain if wanted is None else _resampled(plain, wanted)


def _resampled(plain: CubeView, wanted: NDArray[np.floating]) -> CubeView:
    path = plain.file.path
    if plain.wavelengths is None:
        raise InvalidInput(
            f"the job wants its own {len(wanted)} wavelengths, and nobody says those of {path}: give the centre of each"
            f" band in nanometres as wavelengths = [...] in site.toml"
        )
    if np.array_equal(plain.wavelengths, wanted.astype(np.float32)):
        return plain
    try:
        weights = resampling(plain.wavelengths, wanted)
    except ValueError as error:
        raise InvalidInput(f"{path} cannot be resampled: {error}") from error
    return CubeView(plain.file, plain.bands, wanted.astype(np.float32), plain.no_data, weights)


def _wavelengths(file: CubeFile, settings: CubeSettings) -> NDArray[np.float32] | None:
    if not settings.wavelengths:
        return file.wavelengths
    if len(settings.wavelengths) != file.shape[2]:
        raise InvalidInput(
            f"{file.path} has {file.shape[2]} bands and site.toml gives {len(settings.wavelengths)} wavelengths; is the"
            f" cube transposed? It must be (rows, columns, bands), and is {file.shape}"
        )
    return np.array(settings.wavelengths, np.float32)


def _mask(bands: Bands, count: int, key: str, file: CubeFile) -> NDArray[np.bool_]:
    chosen = np.zeros(count, bool)
    for first, last in bands:
        if not 1 <= first <= last <= count:
            raise InvalidInput(f"{key} names {first} to {last}, and {file.path} has the bands 1 to {count}")
        chosen[first - 1 : last] = True
    return chosen
