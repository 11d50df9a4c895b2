"""The same part of every site's update at once: memory stays the same however many sites and values there are.

Letters: n sites, c values of a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays, Update
from models.parts import layout_of, part_of

_VALUES = 1 << 21  # of all sites together in one part: 8 MiB of float32

Floats = NDArray[np.float32]


class Part(NamedTuple):
    """Values from `start` to before `stop` of the tensor `name`, laid out flat, of every site: (n, c)."""

    name: str
    start: int
    stop: int
    values: Floats


@dataclass(frozen=True)
class Stack:
    """Updates of the same tensors.

    Attributes:
        updates: of n sites, at least one.
        base: the model that updates are steps from. Where there is none yet, the median of the sites stands in.
        scales: (n,) in (0, 1], how much of each site's step is taken; None takes every step whole.
    """

    updates: Sequence[Update]
    base: Arrays | None
    scales: Floats | None = None

    @property
    def sites(self) -> list[str]:
        """The n names."""
        return [update.site for update in self.updates]

    def parts(self) -> Iterator[Part]:
        """Every value of every tensor once, with steps scaled."""
        for name, start, stop in self._bounds():
            values = self._read(name, start, stop)
            if self.scales is not None:
                base = self._base(name, start, stop, values)
                values = base + self.scales[:, None] * (values - base)
            yield Part(name, start, stop, values)

    def norms(self) -> NDArray[np.float64]:
        """(n,) the Euclidean norms of the sites' whole steps."""
        squares = np.zeros(len(self.updates))
        for name, start, stop in self._bounds():
            values = self._read(name, start, stop)
            steps = np.subtract(values, self._base(name, start, stop, values), dtype=np.float64)
            squares += np.einsum("nc,nc->n", steps, steps)
        return np.sqrt(squares)

    def merge(self, rule: Callable[[Floats], NDArray[np.floating]]) -> dict[str, NDArray[np.generic]]:
        """The tensors that a rule makes of the sites' values, (n, c) to (c,), in the updates' own dtype."""
        layouts = {name: layout_of(self.updates[0].arrays, name) for name in self.updates[0].arrays}
        merged = {name: np.empty(layout.shape, layout.dtype) for name, layout in layouts.items()}
        for part in self.parts():
            merged[part.name].reshape(-1)[part.start : part.stop] = rule(part.values)
        return merged

    def _bounds(self) -> Iterator[tuple[str, int, int]]:
        width, arrays = max(1, _VALUES // len(self.updates)), self.updates[0].arrays
        for name in sorted(arrays):
            for start in range(0, size := layout_of(arrays, name).size, width):
                yield name, start, min(size, start + width)

    def _read(self, name: str, start: int, stop: int) -> Floats:
        values = np.empty((len(self.updates), stop - start), np.float32)
        for row, update in zip(values, self.updates, strict=True):
            row[:] = part_of(update.arrays, name, start, stop)
        return values

    def _base(self, name: str, start: int, stop: int, values: Floats) -> Floats:
        if self.base is None:
            return trimmed_mean(values, (len(values) - 1) // 2).astype(np.float32)
        return part_of(self.base, name, start, stop).astype(np.float32, copy=False)


def trimmed_mean(values: Floats, cut: int) -> NDArray[np.float64]:
    """(c,) the mean of each column of (n, c) without its `cut` lowest and highest; with (n - 1) // 2 the median."""
    mean: NDArray[np.float64] = np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0, dtype=np.float64)
    return mean
