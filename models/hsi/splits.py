"""Which labelled pixels train and which test.

Windows of neighbouring pixels overlap, so a random choice of pixels tests what was trained on. The split that is made
by default gives whole blocks of the scene to either side, with a guard band between them that no window crosses.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.hsi.windows import Pixels, check_size, footprint, touches

log = logging.getLogger(__name__)

PER_CLASS = 50
BLOCK = 24
RANDOM_WARNING = (
    "random split: test windows overlap training windows, so the accuracy measures memory of neighbouring pixels;"
    " compare it with papers only, and judge a model by the disjoint split"
)
_FEW = 15  # training pixels of a class that has no more than `per_class`, as in published splits
_DRAWS = 64


@dataclass(frozen=True, eq=False)
class Split:
    """Training and test pixels of a scene.

    Attributes:
        train: (n, 2) row and column, sorted by class.
        test: (m, 2).
        kind: "disjoint" or "random".
        window: side of the windows for which a disjoint split is disjoint.
    """

    train: Pixels
    test: Pixels
    kind: Literal["disjoint", "random"]
    window: int

    def check(self, shape: tuple[int, int]) -> None:
        """Called wherever a split is used, for it may have come from a file.

        Raises:
            ValueError: a pixel trains and tests, or windows of a disjoint split share a pixel of the scene (h, w).
        """
        shared = shared_windows(self, shape) if self.kind == "disjoint" else _shared_pixels(self, shape)
        if shared:
            raise ValueError(
                f"{shared} of {len(self.test)} test pixels share pixels with training windows of {self.window} x"
                f" {self.window}; this split is not {self.kind}"
            )


def random_split(
    labels: NDArray[np.integer], window: int, *, seed: int, per_class: int | Mapping[int, int] = PER_CLASS
) -> Split:
    """A number of random pixels of each class, all other labelled pixels for testing; logs `RANDOM_WARNING`.

    Args:
        labels: (h, w), 0 is unlabelled.
        window: side of the windows.
        seed: of the choice.
        per_class: training pixels of each class, or of each by its number; a class that has no more gets 15.

    Raises:
        ValueError: nothing is labelled, or the scene is smaller than a window.
    """
    check_size(labels.shape, window)
    log.warning(RANDOM_WARNING)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(labels.shape, bool)
    for number in _present(labels):
        pixels = np.argwhere(labels == number)
        wanted = _wanted(per_class, number)
        count = wanted if len(pixels) > wanted else min(_FEW, len(pixels))
        chosen[tuple(rng.permutation(pixels)[:count].T)] = True
    return Split(_by_class(labels, chosen), np.argwhere((labels > 0) & ~chosen), "random", window)


def disjoint_split(
    labels: NDArray[np.integer],
    window: int,
    *,
    seed: int,
    per_class: int | Mapping[int, int] = PER_CLASS,
    block: int = BLOCK,
) -> Split:
    """Half of the blocks train, the others test; no test window reads a pixel of a training window.

    The grid's offset and the halves are random. Of 64 draws that one counts which has most classes on both sides; a
    class that lies in test blocks alone gets the block where it has most pixels, so that every class is trained.

    Args:
        labels: (h, w), 0 is unlabelled.
        window: side of the windows.
        seed: of the draw; results swing with it, so several are needed for a figure.
        per_class: most training pixels of each class, or of each by its number.
        block: side of a block, in pixels.

    Raises:
        ValueError: nothing is labelled, the scene is smaller than a window, or no test pixel is left.
    """
    check_size(labels.shape, window)
    present, rng = _present(labels), np.random.default_rng(seed)
    blocks, trains = _draw_blocks(labels, present, block, rng)
    in_train = trains[blocks]
    chosen = np.zeros(labels.shape, bool)
    for number in present:
        pixels = np.argwhere((labels == number) & in_train)
        chosen[tuple(rng.permutation(pixels)[: _wanted(per_class, number)].T)] = True
    candidates = np.argwhere((labels > 0) & ~in_train)
    train = _by_class(labels, chosen)
    test = candidates[~touches(candidates, window, footprint(train, window, _plane(labels)))]
    if not len(test):
        raise ValueError(
            f"no test pixel lies a window of {window} x {window} away from all training pixels in blocks of {block} x"
            f" {block}; use smaller windows or larger blocks"
        )
    split = Split(train, test, "disjoint", window)
    split.check(_plane(labels))
    return split


def shared_windows(split: Split, shape: tuple[int, int]) -> int:
    """How many test pixels have a window that reads a pixel of a training window in a scene (h, w)."""
    return int(touches(split.test, split.window, footprint(split.train, split.window, shape)).sum())


def _shared_pixels(split: Split, shape: tuple[int, int]) -> int:
    trains = np.zeros(shape, bool)
    trains[tuple(split.train.T)] = True
    return int(trains[tuple(split.test.T)].sum())


def _draw_blocks(
    labels: NDArray[np.integer], present: list[int], side: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The number of each pixel's block (h, w), and which blocks train."""
    drawn = [_draw_once(labels, present, side, rng) for _ in range(_DRAWS)]
    blocks, trains, counts, _ = max(drawn, key=lambda draw: draw[3])
    for of_class in counts.T:
        if not of_class[trains].any():
            trains[of_class.argmax()] = True
    return blocks, trains


def _draw_once(
    labels: NDArray[np.integer], present: list[int], side: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp], int]:
    (down, right), (height, width) = rng.integers(0, side, 2), labels.shape
    rows, columns = (np.arange(height) + down) // side, (np.arange(width) + right) // side
    blocks = rows[:, None] * (int(columns[-1]) + 1) + columns
    total = int(blocks[-1, -1]) + 1
    counts = np.stack([np.bincount(blocks[labels == number], minlength=total) for number in present], axis=1)
    labelled = rng.permutation(np.flatnonzero(counts.any(axis=1)))
    trains = np.zeros(total, bool)
    trains[labelled[: (len(labelled) + 1) // 2]] = True
    both = (counts[trains].any(axis=0) & counts[~trains].any(axis=0)).sum()
    return blocks, trains, counts, int(both)


def _present(labels: NDArray[np.integer]) -> list[int]:
    present = [int(number) for number in np.unique(labels) if number > 0]
    if not present:
        raise ValueError("no pixel of the scene is labelled, so there is nothing to train on")
    return present


def _wanted(per_class: int | Mapping[int, int], number: int) -> int:
    return per_class if isinstance(per_class, int) else per_class[number]


def _by_class(labels: NDArray[np.integer], chosen: NDArray[np.bool_]) -> Pixels:
    pixels = np.argwhere(chosen)
    return pixels[np.argsort(labels[tuple(pixels.T)], kind="stable")]


def _plane(labels: NDArray[np.integer]) -> tuple[int, int]:
    return labels.shape[0], labels.shape[1]
