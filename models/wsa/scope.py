"""Weight scopes: the Gaussian that each layer's weights roughly follow (arXiv 2408.12237).

Only the abstract and the opening of the paper were known when this was written; what is here and in the files beside
it is a reconstruction after them. Letters: l layers, n models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays
from models.parts import Layout, layout_of, part_of

FEWEST = 100  # weights of a layer: with fewer a mean and a deviation say little
_CHUNK = 1 << 18  # weights looked at once: they stay in the cache, and a model in a file is never read whole

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scopes:
    """The weight scopes of a model.

    Attributes:
        names: of its l scoped tensors, sorted.
        means: (l,)
        deviations: (l,) standard deviations of all weights of a tensor, the population's.
    """

    names: tuple[str, ...]
    means: Floats
    deviations: Floats


def is_scoped(name: str, layout: Layout) -> bool:
    """Whether a tensor has a scope: weights of convolutions and linear layers, at least `FEWEST` of them.

    Biases, normalisation, layer scales and position tables have none: they are few, or not centred around zero.
    """
    return name.rpartition(".")[2].endswith("weight") and len(layout.shape) >= 2 and layout.size >= FEWEST


def scopes_of(arrays: Arrays) -> Scopes:
    """The scopes of a model; from a file it is read part by part."""
    names = tuple(name for name in sorted(arrays) if is_scoped(name, layout_of(arrays, name)))
    found = np.array([_scope(arrays, name) for name in names], np.float64).reshape(-1, 2)
    return Scopes(names, found[:, 0], found[:, 1])


def _scope(arrays: Arrays, name: str) -> tuple[float, float]:
    """Mean and deviation in one pass, merged over parts (Chan et al., 1979)."""
    size, mean, squares = 0, 0.0, 0.0
    for start in range(0, layout_of(arrays, name).size, _CHUNK):
        part = part_of(arrays, name, start, min(start + _CHUNK, layout_of(arrays, name).size)).astype(np.float64)
        shift = float(part.mean()) - mean
        total = size + part.size
        squares += float(np.square(part - part.mean()).sum()) + shift**2 * size * part.size / total
        mean += shift * part.size / total
        size = total
    return mean, float(np.sqrt(squares / size))
