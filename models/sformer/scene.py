"""A class for every pixel of a scene, tile by tile, so that memory does not grow with the scene.

Windows of neighbouring pixels overlap, but hardly any work can be shared between them: behind the stem every token of
a window depends on all others of it (lengths along the tokens, ranks of scores, means over the window). The stem itself
is one convolution and takes about 3 % of the time, so windows are simply cut.

h and w are the scene's height and width, b its bands, c the components of a window, s its side, k the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.hsi.windows import check_size, reflected

Floats = NDArray[np.float32]
Classify = Callable[[Floats], Floats]
"""Windows (n, c, s, s) to logits (n, k)."""

_SIDE = 64
_BATCH = 64  # what attention makes of more windows does not stay in the cache


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of the scene.

    Attributes:
        rows: of the scene.
        columns: of the scene.
        logits: (rows, columns, k) float32.
    """

    rows: slice
    columns: slice
    logits: Floats


def classified_tiles(
    classify: Classify,
    cube: NDArray[np.generic],
    project: Callable[[NDArray[np.generic]], Floats],
    window: int,
    *,
    side: int = _SIDE,
) -> Iterator[Tile]:
    """The scene's tiles from left to right and top to bottom, each with its logits.

    No tile's edge is seen in the result: windows reach into other tiles, and are reflected at the scene's border.

    Args:
        classify: the network.
        cube: (h, w, b), maybe in a memory-mapped file; a tile with its margin is read at once.
        project: spectra (..., b) to components (..., c).
        window: s.
        side: of a tile, in pixels.

    Raises:
        ValueError: the scene is smaller than a window.
    """
    height, width = cube.shape[:2]
    check_size((height, width), window)
    for top in range(0, height, side):
        for left in range(0, width, side):
            rows, columns = slice(top, min(top + side, height)), slice(left, min(left + side, width))
            yield Tile(rows, columns, _logits(classify, _with_margin(cube, project, rows, columns, window), window))


def class_map(tiles: Iterator[Tile], shape: tuple[int, int]) -> NDArray[np.int16]:
    """The most likely class of each pixel, (h, w) from 1 to k."""
    classes = np.zeros(shape, np.int16)
    for tile in tiles:
        classes[tile.rows, tile.columns] = tile.logits.argmax(axis=2) + 1
    return classes


def _with_margin(
    cube: NDArray[np.generic],
    project: Callable[[NDArray[np.generic]], Floats],
    rows: slice,
    columns: slice,
    window: int,
) -> Floats:
    """The components (rows + s - 1, columns + s - 1, c) that the windows of a tile read."""
    down, right = (_indices(part, window, length) for part, length in zip((rows, columns), cube.shape[:2], strict=True))
    first, start = down.min(), right.min()
    block = project(cube[first : down.max() + 1, start : right.max() + 1])
    return np.asarray(block[down[:, None] - first, right[None, :] - start])


def _indices(part: slice, window: int, length: int) -> NDArray[np.intp]:
    indices = reflected(np.arange(part.start, part.stop), window, length)
    return np.concatenate([indices[0], indices[1:, -1]])


def _logits(classify: Classify, block: Floats, window: int) -> Floats:
    views = np.lib.stride_tricks.sliding_window_view(block, (window, window), axis=(0, 1))
    rows, columns = views.shape[:2]
    found = [
        classify(np.ascontiguousarray(views[index // columns, index % columns]))
        for index in np.array_split(np.arange(rows * columns), -(-rows * columns // _BATCH))
    ]
    return np.concatenate(found).reshape(rows, columns, -1)
