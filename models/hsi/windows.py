"""Square windows around pixels, and which pixels of the scene each window reads.

h and w are the scene's height and width, b its bands, n a number of pixels, s the side of a window. An even window has
its pixel at the index s // 2, below and to the right of the middle. Beyond the border the scene is reflected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.intp]
"""(n, 2), row and column of each."""

_AT_ONCE = 2048


def check_size(shape: tuple[int, ...], size: int) -> None:
    """Raises `ValueError` where a scene of the shape (h, w, ...) is smaller than a window."""
    if size < 1 or min(shape[:2]) < size:
        raise ValueError(f"a scene of {shape[0]} x {shape[1]} pixels is smaller than a window of {size} x {size}")


def reflected(centres: Pixels, size: int, length: int) -> Pixels:
    """The indices (n, s) along one axis of `length` that the windows of the centres (n,) read."""
    return fold(centres[:, None] + np.arange(size) - size // 2, length)


def fold(indices: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Indices beyond the ends of an axis of `length`, reflected at its first and its last."""
    inside = np.abs(indices)
    return np.asarray(np.where(inside >= length, 2 * (length - 1) - inside, inside))


def cut(cube: NDArray[np.generic], pixels: Pixels, size: int) -> NDArray[np.float32]:
    """The windows (n, b, s, s) of the pixels (n, 2) of a cube (h, w, b). Raises `ValueError` as `check_size`."""
    check_size(cube.shape, size)
    rows, columns = (reflected(pixels[:, axis], size, cube.shape[axis]) for axis in (0, 1))
    windows = cube[rows[:, :, None], columns[:, None, :]].astype(np.float32)
    return np.ascontiguousarray(windows.transpose(0, 3, 1, 2))


def window_means(cube: NDArray[np.generic], pixels: Pixels, size: int) -> NDArray[np.float32]:
    """The mean spectrum (n, b) of each pixel's window."""
    parts = [pixels[start : start + _AT_ONCE] for start in range(0, len(pixels), _AT_ONCE)]
    means = [cut(cube, part, size).mean(axis=(2, 3), dtype=np.float64) for part in parts]
    return np.concatenate(means or [np.zeros((0, cube.shape[2]))]).astype(np.float32)


def footprint(pixels: Pixels, size: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of a scene (h, w) the windows of the pixels (n, 2) read, those by reflection too."""
    height, width = shape
    # Corners of every rectangle are marked, and two running sums fill them all at once.
    marks = np.zeros((height + 1, width + 1), np.int64)
    (top, bottom), (left, right) = (_reach(pixels[:, axis], size, shape[axis]) for axis in (0, 1))
    for rows, columns, sign in ((top, left, 1), (bottom, right, 1), (top, right, -1), (bottom, left, -1)):
        np.add.at(marks, (rows, columns), sign)
    return np.asarray(marks.cumsum(axis=0).cumsum(axis=1)[:height, :width] > 0)


def touches(pixels: Pixels, size: int, area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) whether the window of each pixel (n, 2) reads any pixel of an area (h, w)."""
    sums = np.pad(area.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    (top, bottom), (left, right) = (_reach(pixels[:, axis], size, area.shape[axis]) for axis in (0, 1))
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(inside > 0)


def _reach(centres: Pixels, size: int, length: int) -> tuple[Pixels, Pixels]:
    """First index read along an axis and the one after the last; what is read lies without gaps between them."""
    indices = reflected(centres, size, length)
    return indices.min(axis=1, initial=length), indices.max(axis=1, initial=-1) + 1
