"""A colour for each class, the same one on every map of a model."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

# Told apart by people of all colour visions as far as so many can be; after them hues by the golden section.
_FIRST = (
    (31, 119, 180), (255, 187, 51), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194),
    (23, 190, 207), (188, 189, 34), (0, 63, 92), (255, 127, 80), (152, 223, 138), (197, 176, 213), (102, 45, 145),
    (247, 182, 210), (90, 90, 40),
)  # fmt: skip
_GOLDEN = 0.618034


def colours(classes: int) -> NDArray[np.uint8]:
    """RGB (classes + 1, 3); the first row, black, is for what has no class."""
    more = [colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.85 - 0.3 * (index % 2), 0.9) for index in range(classes)]
    later = [tuple(round(255 * part) for part in rgb) for rgb in more]
    chosen = [*_FIRST, *later][:classes]
    return np.array([(0, 0, 0), *chosen], np.uint8)
