"""Which rows of the sites' banks other sites vouch for.

A bad row does harm where it makes defects look normal or takes a centre from others, and both only where no honest row
lies near it. So a row counts if f other sites hold one near it, f being how many sites may be bad: with the row's own
site that is f + 1, and one of them is honest.

Letters: n banks, m rows of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kmeans import assign
from models.memory import MemoryBank

_SPREADS = 3.0  # times the standard deviation, as the median absolute deviation estimates it: the usual outlier bound
_MAD_TO_DEVIATION = 1.4826
_ROUNDING = 1e-3  # of rows of length 1 in float16


class Support(NamedTuple):
    """How far rows lie from those of other sites.

    Attributes:
        distances: for each of the n banks (m,) float32, of every row to the f-th nearest other site's nearest row.
        reach: rows that are farther count as far.
    """

    distances: Sequence[NDArray[np.float32]]
    reach: float

    def far(self, bank: int) -> NDArray[np.bool_]:
        """(m,) which rows of a bank are vouched for by too few."""
        return self.distances[bank] > self.reach


def support(banks: Sequence[MemoryBank], assumed_bad: int) -> Support:
    """How well the rows of n banks are supported with f = `assumed_bad` of them bad; f at least 1, n at least 2f + 1.

    The reach is the median over the sites of what is usual at each: the median of its rows' distances plus three
    standard deviations, so that bad sites, being fewer than half, do not set it.
    """
    distances = [_to_others(banks, index, assumed_bad) for index in range(len(banks))]
    return Support(distances, float(np.median([_usual(own) for own in distances])) + _ROUNDING)


def _to_others(banks: Sequence[MemoryBank], index: int, rank: int) -> NDArray[np.float32]:
    """(m,) the distance of each row of one bank to the `rank`-th nearest of the other banks."""
    rows = banks[index].rows
    squared = np.stack([assign(rows, other.rows)[1] for place, other in enumerate(banks) if place != index])
    distances: NDArray[np.float32] = np.sqrt(np.partition(squared, rank - 1, axis=0)[rank - 1])
    return distances


def _usual(distances: NDArray[np.float32]) -> float:
    middle = np.median(distances)
    return float(middle + _SPREADS * _MAD_TO_DEVIATION * np.median(np.abs(distances - middle)))
