"""Tensors looked into without reading them whole, so that many models need no more room than one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays


class Layout(NamedTuple):
    """What a tensor is, without its values."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


class Parts(Mapping[str, NDArray[np.generic]]):
    """Tensors that need not be read whole, as those in a file (`protos.tensors.TensorFile`)."""

    @abstractmethod
    def layout(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The dtype and shape of a tensor, without reading it."""

    @abstractmethod
    def part(self, name: str, start: int, stop: int) -> NDArray[np.generic]:
        """The values from `start` to before `stop` of a tensor laid out flat, in C order, and no others."""


def layout_of(arrays: Arrays, name: str) -> Layout:
    """The dtype and shape of a tensor; from a file without reading its values."""
    if isinstance(arrays, Parts):
        return Layout(*arrays.layout(name))
    return Layout(arrays[name].dtype, arrays[name].shape)


def part_of(arrays: Arrays, name: str, start: int, stop: int) -> NDArray[np.generic]:
    """The values from `start` to before `stop` of a tensor laid out flat; from a file without reading the others."""
    if isinstance(arrays, Parts):
        return arrays.part(name, start, stop)
    return arrays[name].reshape(-1)[start:stop]
