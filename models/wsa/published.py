"""What a global model of WSA holds besides the network's tensors; all of it has names that begin with `PREFIX`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays
from models.parts import Parts, layout_of, part_of
from models.wsa.scope import Scopes, scopes_of

PREFIX: Final = "wsa."
TARGET: Final = PREFIX + "target"  # (l, 2) float32: mean and deviation of each scoped tensor, sorted by name
SPREAD: Final = PREFIX + "spread"  # (l,) float32, see `models.wsa.fusion.spread`
ROUND: Final = PREFIX + "round"  # (1,) int64: rounds that have trained so far
ACTIVE: Final = PREFIX + "active"  # (1,) uint8: whether the next round aligns


class Weights(Parts):
    """The network's tensors alone."""

    def __init__(self, published: Arrays) -> None:
        self._published = published
        self._names = dict.fromkeys(name for name in published if not name.startswith(PREFIX))

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        if name not in self._names:
            raise KeyError(name)
        return self._published[name]

    def layout(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """See `Parts`."""
        return layout_of(self._published, name)

    def part(self, name: str, start: int, stop: int) -> NDArray[np.generic]:
        """See `Parts`."""
        return part_of(self._published, name, start, stop)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def weights_of(published: Arrays | None) -> Weights | None:
    """The network of a global model; None where there is none yet."""
    weights = Weights(published or {})
    return weights if len(weights) else None


def trained_rounds(published: Arrays) -> int:
    """How many rounds have trained the network of a global model."""
    return int(published[ROUND][0]) if ROUND in published else 0


def besides(published: Arrays | None) -> dict[str, NDArray[np.generic]]:
    """What a global model holds besides the network."""
    return {name: published[name] for name in published or {} if published and name.startswith(PREFIX)}


def published_target(published: Arrays) -> Scopes:
    """The target scope that came with a global model."""
    names = scopes_of(Weights(published)).names
    target = published[TARGET].astype(np.float64)
    return Scopes(names, target[:, 0], target[:, 1])


def scope_arrays(target: Scopes, spread: NDArray[np.float64], *, active: bool) -> dict[str, NDArray[np.generic]]:
    """The target, the spread, and whether the next round aligns, as they are published."""
    return {
        TARGET: np.stack([target.means, target.deviations], axis=1).astype(np.float32),
        SPREAD: spread.astype(np.float32),
        ACTIVE: np.array([active], np.uint8),
    }
