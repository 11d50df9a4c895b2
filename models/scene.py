"""A labelled hyperspectral scene, as a site has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scene:
    """A cube and what is known of its pixels.

    Letters: h rows, w columns, b bands, k classes.

    Attributes:
        cube: (h, w, b) float32 or uint16, as measured; may be mapped from a file.
        labels: (h, w) integers; 0 where nobody said what it is, else 1 to k.
        class_names: of the k classes, in the order of their labels.
        wavelengths: (b,) nanometres, or None where they are not known.
    """

    cube: NDArray[np.float32] | NDArray[np.uint16]
    labels: NDArray[np.integer]
    class_names: tuple[str, ...]
    wavelengths: NDArray[np.float64] | None = None
