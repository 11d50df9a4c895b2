"""Whether the scores on the line still come from where the calibration's came from; no labels are needed.

The two-sample Kolmogorov-Smirnov test, once for each full window of images. Of a window only counts between the
calibration's scores are kept: memory is bounded, windows of several workers add up, and the test is still exact. A few
defective parts do not raise it, as they move the distribution by no more than their share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 100
FALSE_ALARMS = 0.001

_MOST_CUTS = 512


@dataclass(frozen=True, eq=False)
class Reference:
    """The scores of held-out normals, as a distribution.

    Attributes:
        normals: n, how many there are.
        cuts: (k,) scores among them, ascending; all of them where there are few.
        below: (k,) share of all n below each cut.
        up_to: (k,) share of all n at or below it.
    """

    normals: int
    cuts: NDArray[np.float64]
    below: NDArray[np.float64]
    up_to: NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What a window says.

    Attributes:
        images: in the window.
        distance: the greatest difference of the two distribution functions, in [0, 1].
        limit: that chance passes once in 1 / `FALSE_ALARMS` windows; above 1 where too few images were held out for
            any alarm.
        above_median: share of the window above the calibration's median; a half is expected.
    """

    images: int
    distance: float
    limit: float
    above_median: float

    @property
    def alarm(self) -> bool:
        """Whether it is more than chance."""
        return self.distance > self.limit

    def __str__(self) -> str:
        state = "scores have drifted" if self.alarm else "scores have not drifted beyond chance"
        return (
            f"{state}: distance {self.distance:.2f} over {self.images} images, limit {self.limit:.2f}; "
            f"{100 * self.above_median:.0f} % lie above the calibration's median"
        )


def reference(scores: NDArray[np.floating]) -> Reference:
    """The distribution of scores (n,) of held-out normals.

    Raises:
        ValueError: there are none, or one is not finite.
    """
    if scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError(f"drift is measured against finite scores of held-out normals; there are {scores.size}")
    ordered = np.sort(scores.astype(np.float64))
    positions = np.linspace(0, ordered.size - 1, min(ordered.size, _MOST_CUTS)).round().astype(int)
    cuts = np.unique(ordered[positions])
    below, up_to = (np.searchsorted(ordered, cuts, side=side) / ordered.size for side in ("left", "right"))
    return Reference(ordered.size, cuts, below, up_to)


def counts(reference: Reference, scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """How many of the scores (w,) lie up to each cut and above the one before it, (k + 1,); counts of parts add up."""
    places = np.searchsorted(reference.cuts, scores.astype(np.float64), side="left")
    return np.bincount(places, minlength=reference.cuts.size + 1).astype(np.int64)


def drift(reference: Reference, counted: NDArray[np.int64]) -> Drift:
    """What counts (k + 1,) of a window say; at least one image."""
    images = int(counted.sum())
    up_to = np.cumsum(counted)[:-1] / images
    # Between two cuts the calibration's distribution stands still and the window's rises: both ends count.
    distance = max(np.abs(reference.up_to - up_to).max(), np.abs(reference.below - up_to).max())
    median = int(np.searchsorted(reference.up_to, 0.5))
    return Drift(images, float(distance), limit(reference.normals, images), float(1 - up_to[median]))


def limit(normals: int, images: int) -> float:
    """The distance that a window of images passes by chance in `FALSE_ALARMS` of all draws of both samples, at most."""
    return math.sqrt(-math.log(FALSE_ALARMS / 2) / 2 * (normals + images) / (normals * images))


class DriftMonitor:
    """Collects scores into windows.

    Args:
        scores: (n,) of held-out normals, by the runner that scores on the line.
        window: images in one.

    Raises:
        ValueError: see `reference`.
    """

    def __init__(self, scores: NDArray[np.floating], window: int = WINDOW) -> None:
        self._reference = reference(scores)
        self._window = window
        self._counts = counts(self._reference, np.empty(0))

    def see(self, scores: NDArray[np.floating]) -> Iterator[Drift]:
        """Takes finite scores (b,) in; gives what each window says that they fill."""
        while scores.size:
            room = self._window - int(self._counts.sum())
            self._counts = self._counts + counts(self._reference, scores[:room])
            scores = scores[room:]
            if self._counts.sum() == self._window:
                found, self._counts = drift(self._reference, self._counts), np.zeros_like(self._counts)
                yield found
