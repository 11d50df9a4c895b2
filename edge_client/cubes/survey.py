"""Faults of bands that only the values show: NaN among valid pixels, and bands that are 0 everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_client.cubes.view import CubeView
from protos.errors import InvalidInput

_SHOWN = 12


class Survey:
    """Looks at a cube's strips as they are read."""

    def __init__(self, view: CubeView) -> None:
        self._view = view
        self._seen = np.zeros(view.shape[2], bool)
        self._pixels = 0

    def add(self, spectra: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Takes the rows (r, w, b) of a view. Raises `InvalidInput` where a valid pixel has NaN or infinity."""
        if spectra.dtype.kind == "f":
            broken = (~np.isfinite(spectra)).sum(axis=(0, 1))  # what is not valid is 0 here
            if broken.any():
                self._fail(broken > 0, f"hold NaN or infinity at up to {broken.max()} pixels")
        self._seen |= (spectra != 0).any(axis=(0, 1))
        self._pixels += int(valid.sum())

    def finish(self) -> None:
        """Raises `InvalidInput` where no pixel was valid, or a band was 0 at all of them."""
        if not self._pixels:
            raise InvalidInput(f"{self._view.file.path} holds no valid pixel: every one is 0, NaN or no data")
        if not self._seen.all():
            self._fail(~self._seen, "are 0 at every pixel")

    def _fail(self, faulty: NDArray[np.bool_], what: str) -> None:
        view = self._view
        if view.weights is not None:
            raise InvalidInput(f"{view.file.path}: bands near {_listed(view.wavelengths, faulty)} nm {what}")
        numbers = (view.bands + 1)[faulty]
        raise InvalidInput(
            f"the bands {_listed(view.bands + 1, faulty)} of {view.file.path} {what}; leave them out with"
            f" bad_bands = [{', '.join(map(str, numbers[:_SHOWN]))}{', ...' if len(numbers) > _SHOWN else ''}]"
        )


def _listed(values: NDArray[np.generic] | None, chosen: NDArray[np.bool_]) -> str:
    found = [] if values is None else [f"{value:g}" for value in values[chosen][:_SHOWN].tolist()]
    return ", ".join(found) + (f" and {int(chosen.sum()) - _SHOWN} more" if chosen.sum() > _SHOWN else "")
