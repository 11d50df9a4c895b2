"""The first round of a job: sites add up what the projection of the bands needs, before any of them trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.hsi.moments import BandSums, from_arrays, to_arrays
from models.hsi.projection import Projection, fit, fit_against_noise
from models.hsi.projection import from_arrays as projection_from
from models.hsi.projection import to_arrays as projection_arrays
from models.method import Arrays, Declaration, RejectedUpdate, Update
from models.wsa.published import PREFIX
from models.wsa.settings import Settings

_SUMS: Final = PREFIX + "sums."
_NOISE: Final = PREFIX + "noise."
_PROJECTION: Final = PREFIX + "bands."


def sums_arrays(sums: BandSums, noise: BandSums | None) -> dict[str, NDArray[np.generic]]:
    """The sums over a site's pixels as it sends them, and those over their noise where the job's components need it."""
    made = {_SUMS + name: array for name, array in to_arrays(sums).items()}
    return made if noise is None else made | {_NOISE + name: array for name, array in to_arrays(noise).items()}


def check_sums(settings: Settings, declaration: Declaration, arrays: Arrays) -> None:
    """Raises `RejectedUpdate` unless `arrays` are what the job sums, over as many bands as the site declared."""
    wanted = {_SUMS, _NOISE} if settings.bands.order == "noise" else {_SUMS}
    if odd := sorted(name for name in arrays if not name.startswith(tuple(wanted))):
        raise RejectedUpdate(f"the tensor {odd[0]!r} is none of the sums that the job's first round is for")
    for prefix in sorted(wanted):
        try:
            sums = _sums(arrays, prefix)
        except ValueError as error:
            raise RejectedUpdate(str(error)) from error
        if len(sums.total) != (bands := int(declaration["bands"])):
            raise RejectedUpdate(f"sums over {len(sums.total)} bands where the site declared {bands}")


def project(settings: Settings, updates: Iterable[Update]) -> dict[str, NDArray[np.generic]]:
    """The projection of the pixels of all sites, as it is published. Raises `ValueError` without any, or with few."""
    received = sorted(updates, key=lambda update: update.site)
    if not received:
        raise ValueError("there are no sums over pixels to fit the bands' projection on")
    sums, components = _total(received, _SUMS), settings.bands.components
    if components is None:
        projection = _as_they_are(sums)
    elif settings.bands.order == "noise":
        projection = fit_against_noise(sums, _total(received, _NOISE), components)
    else:
        projection = fit(sums, components)
    return {_PROJECTION + name: array for name, array in projection_arrays(projection).items()}


def published_projection(published: Arrays) -> Projection:
    """What a global model projects bands with."""
    return projection_from({name: published[_PROJECTION + name] for name in ("mean", "matrix", "explained")})


def _as_they_are(sums: BandSums) -> Projection:
    bands, span = len(sums.total), sums.high - sums.low
    if not span:
        raise ValueError("all training pixels of all sites have one and the same value")
    return Projection((sums.total / sums.count).astype(np.float32), np.eye(bands, dtype=np.float32) / span, 1.0)


def _total(updates: Sequence[Update], prefix: str) -> BandSums:
    first, *others = (_sums(update.arrays, prefix) for update in updates)
    return sum(others, first)


def _sums(arrays: Arrays, prefix: str) -> BandSums:
    return from_arrays({name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)})
