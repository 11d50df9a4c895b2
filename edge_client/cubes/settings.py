"""What `site.toml` says of a site's cube, in its table `[data]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Bands = tuple[int | Annotated[str, Field(pattern=r"^\d{1,5}-\d{1,5}$")], ...]
"""Bands by their number from 1, and ranges of them as "104-108"."""


class CubeSettings(BaseModel):
    """A cube and its labels.

    Attributes:
        cube: a .mat, ENVI, GeoTIFF, .npz or .npy file; relative to the site folder.
        variable: the array in it, where there are several.
        labels: a raster of the same rows and columns (0 is unlabelled), points (.csv) or polygons (.geojson).
        label_variable: the array in it, where there are several.
        classes: names of the classes 1, 2, ... of a raster that does not say them itself.
        bands: those to use; all where left out.
        bad_bands: those to leave out, besides those that the file itself calls bad.
        no_data: the value that stands for "nothing seen"; what the file says where left out.
        wavelengths: centre of each band of the file in nanometres, where the file does not say them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cube: Path | None = None
    variable: str | None = None
    labels: Path | None = None
    label_variable: str | None = None
    classes: tuple[str, ...] = ()
    bands: Bands = ()
    bad_bands: Bands = ()
    no_data: float | None = None
    wavelengths: tuple[Annotated[float, Field(gt=0)], ...] = ()
