"""A scene in parts of some rows, each with what the windows of its pixels read, the scene's reflection included.

Windows of neighbouring pixels overlap, but networks of windows can hardly share work between them: in SFormer, behind
the stem, every token depends on all others of its window (lengths along the tokens, ranks of scores, means over the
window), and the stem is one convolution with 3 % of the time. So windows are cut, and only their components are shared.

h and w are the scene's height and width, c the number of its components, r the rows of a part, s the side of a window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.hsi.windows import fold, reflected


def rows_needed(start: int, stop: int, size: int, height: int) -> tuple[int, int]:
    """First row that the windows of the rows from `start` up to `stop` read, and the one after the last."""
    indices = reflected(np.arange(start, stop), size, height)
    return int(indices.min()), int(indices.max()) + 1


def padded(
    components: NDArray[np.float32], first: int, start: int, stop: int, size: int, height: int
) -> NDArray[np.float32]:
    """The part (r + s - 1, w + s - 1, c) whose s x s windows, one pixel apart, are those of the rows `start` to `stop`.

    Args:
        components: (n, w, c), the scene's rows from `first` on that `rows_needed` names.
        first: row of the scene.
        start: first row of the part.
        stop: the one after the last.
        size: s.
        height: h.
    """
    width, before = components.shape[1], size // 2
    rows = fold(np.arange(start - before, stop + size - before - 1), height)
    columns = fold(np.arange(-before, width + size - before - 1), width)
    return components[np.ix_(rows - first, columns)]


def windows(part: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The windows (r, w, c, s, s) of a padded part, as a view that copies nothing."""
    return np.lib.stride_tricks.sliding_window_view(part, (size, size), axis=(0, 1))
