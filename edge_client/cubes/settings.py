"""What `site.toml` says of a site's cube, in its table `[data]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_BANDS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def _band_range(item: Any) -> Any:
    if isinstance(item, tuple):
        return item
    if isinstance(item, float) or not (found := _BANDS.fullmatch(str(item))):
        raise ValueError(f'{item!r} names no band; write 104, or "104-108" for a range')
    return int(found[1]), int(found[2] or found[1])


Bands = tuple[Annotated[tuple[int, int], BeforeValidator(_band_range)], ...]
"""First and last of some bands, counted from 1; written as 104 or "104-108"."""


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
