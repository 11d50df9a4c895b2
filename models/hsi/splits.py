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

from models.hsi.blocks import training_side
from models.hsi.windows import Pixels, check_size, footprint, touches

log = logging.getLogger(__name__)

PER_CLASS = 50
BLOCK = 24
RANDOM_WARNING = (
    "random split: test windows overlap training windows, so the accuracy measures memory of neighbouring pixels;"
    " compare it with papers only, and judge a model by the disjoint split"
)
_FEW = 15  # training pixels of a class that has no more than `per_class`, as in published splits
_DRAWS = 32


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
    rng, pixels = np.random.default_rng(seed), _labelled(labels)
    numbers, chosen = labels[tuple(pixels.T)], []
    for number in np.unique(numbers):
        of_class, wanted = np.flatnonzero(numbers == number), _wanted(per_class, int(number))
        chosen.append(rng.permutation(of_class)[: wanted if len(of_class) > wanted else _FEW])
    train = np.concatenate(chosen)
    return Split(pixels[train], np.delete(pixels, train, axis=0), "random", window)


def disjoint_split(
    labels: NDArray[np.integer],
    window: int,
    *,
    seed: int,
    per_class: int | Mapping[int, int] = PER_CLASS,
    block: int = BLOCK,
) -> Split:
    """Half of the blocks train, the others test; no test window reads a pixel of a training window.

    The grid's offset and the halves are random. Of 32 draws that one counts which tests most classes: it has to be
    known of a class whether it was learnt.

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
    rng, pixels = np.random.default_rng(seed), _labelled(labels)
    drawn = [_draw(pixels, labels, window, per_class, block, rng) for _ in range(_DRAWS)]
    # The first of the best: `max` keeps it.
    train, test = max(drawn, key=lambda sides: len(np.unique(labels[tuple(sides[1].T)])))
    if not len(test):
        raise ValueError(
            f"no test pixel lies a window of {window} x {window} away from all training pixels in blocks of {block} x"
            f" {block}; use smaller windows or larger blocks"
        )
    split = Split(train, test, "disjoint", window)
    split.check(_plane(labels))
    return split


def check_trained(train: NDArray[np.integer], test: NDArray[np.integer], class_names: tuple[str, ...]) -> None:
    """Raises `ValueError` that names the classes of the test pixels (m,) that no training pixel (n,) is of."""
    if missing := [class_names[number - 1] for number in np.setdiff1d(test, train)]:
        raise ValueError(
            f"no training pixel is of the class {' or '.join(missing)}, which is tested; label more of it, or train"
            " without it"
        )


def shared_windows(split: Split, shape: tuple[int, int]) -> int:
    """How many test pixels have a window that reads a pixel of a training window in a scene (h, w)."""
    return int(_shares_windows(split.test, split.train, split.window, shape).sum())


def _shares_windows(test: Pixels, train: Pixels, window: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    # An even window that is reflected, be it at the border of a part of the scene, reads one pixel more to its other
    # side: the odd window around it holds all that it can read.
    size = window | 1
    return touches(test, size, footprint(train, size, shape))


def _shared_pixels(split: Split, shape: tuple[int, int]) -> int:
    trains = np.zeros(shape, bool)
    trains[tuple(split.train.T)] = True
    return int(trains[tuple(split.test.T)].sum())


def _draw(
    pixels: Pixels,
    labels: NDArray[np.integer],
    window: int,
    per_class: int | Mapping[int, int],
    block: int,
    rng: np.random.Generator,
) -> tuple[Pixels, Pixels]:
    numbers = labels[tuple(pixels.T)]
    in_train = training_side(pixels, numbers, block, rng)
    chosen = [
        rng.permutation(np.flatnonzero(in_train & (numbers == number)))[: _wanted(per_class, int(number))]
        for number in np.unique(numbers)
    ]
    train, candidates = pixels[np.concatenate(chosen)], pixels[~in_train]
    return train, candidates[~_shares_windows(candidates, train, window, _plane(labels))]


def _labelled(labels: NDArray[np.integer]) -> Pixels:
    pixels = np.argwhere(labels > 0)
    if not len(pixels):
        raise ValueError("no pixel of the scene is labelled, so there is nothing to train on")
    return pixels


def _wanted(per_class: int | Mapping[int, int], number: int) -> int:
    return per_class if isinstance(per_class, int) else per_class[number]


def _plane(labels: NDArray[np.integer]) -> tuple[int, int]:
    return labels.shape[0], labels.shape[1]
