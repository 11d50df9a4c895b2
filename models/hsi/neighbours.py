"""How unlike neighbouring pixels are: mostly what the sensor adds, for neighbours share the ground they show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.hsi.windows import Pixels, fold


def differences(cube: NDArray[np.generic], pixels: Pixels, valid: NDArray[np.bool_]) -> NDArray[np.generic]:
    """The spectra of the neighbours below and to the right less the pixels' own; at the border, of those before.

    Args:
        cube: (h, w, b) of integers or floats, at least 2 x 2 pixels.
        pixels: (n, 2), valid.
        valid: (h, w); an invalid neighbour is left out.

    Returns:
        (m, b), m at most 2 n; int64 for integers, so that their sums are exact.
    """
    kind = np.int64 if np.issubdtype(cube.dtype, np.integer) else np.float64
    found = []
    for step in ((1, 0), (0, 1)):
        rows, columns = (fold(pixels[:, axis] + step[axis], cube.shape[axis]) for axis in (0, 1))
        seen = valid[rows, columns]
        own = cube[tuple(pixels[seen].T)].astype(kind)
        found.append(cube[rows[seen], columns[seen]].astype(kind) - own)
    return np.concatenate(found)
