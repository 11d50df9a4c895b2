"""The first round of a job: sites add up what the projection of the bands needs, before any of them trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.hsi.moments import BandSums, from_arrays, to_arrays
from models.hsi.projection import Projection, fit
from models.hsi.projection import from_arrays as projection_from
from models.hsi.projection import to_arrays as projection_arrays
from models.method import Arrays, Declaration, RejectedUpdate, Update
from models.wsa.published import PREFIX
from models.wsa.settings import Settings

_SUMS: Final = PREFIX + "sums."
_PROJECTION: Final = PREFIX + "bands."


def sums_arrays(sums: BandSums) -> dict[str, NDArray[np.generic]]:
    """The sums as a site sends them."""
    return {_SUMS + name: array for name, array in to_arrays(sums).items()}


def check_sums(declaration: Declaration, arrays: Arrays) -> None:
    """Raises `RejectedUpdate` unless `arrays` are sums over as many bands as the site declared."""
    try:
        sums = _sums(arrays)
    except ValueError as error:
        raise RejectedUpdate(str(error)) from error
    if len(sums.total) != (bands := int(declaration["bands"])):
        raise RejectedUpdate(f"sums over {len(sums.total)} bands where the site declared {bands}")


def project(settings: Settings, updates: Iterable[Update]) -> dict[str, NDArray[np.generic]]:
    """The projection of the pixels of all sites, as it is published. Raises `ValueError` without any, or with few."""
    parts = [_sums(update.arrays) for update in sorted(updates, key=lambda update: update.site)]
    if not parts:
        raise ValueError("there are no sums over pixels to fit the bands' projection on")
    sums = sum(parts[1:], parts[0])
    components = settings.bands.components
    projection = _as_they_are(sums) if components is None else fit(sums, components)
    return {_PROJECTION + name: array for name, array in projection_arrays(projection).items()}


def published_projection(published: Arrays) -> Projection:
    """What a global model projects bands with."""
    return projection_from({name: published[_PROJECTION + name] for name in ("mean", "matrix", "explained")})


def _as_they_are(sums: BandSums) -> Projection:
    bands, span = len(sums.total), sums.high - sums.low
    if not span:
        raise ValueError("all training pixels of all sites have one and the same value")
    return Projection((sums.total / sums.count).astype(np.float32), np.eye(bands, dtype=np.float32) / span, 1.0)


def _sums(arrays: Arrays) -> BandSums:
    return from_arrays({name.removeprefix(_SUMS): arrays[name] for name in arrays})
