"""What is looked at in one update of weights before it counts."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.fedavg.settings import aggregation_of
from models.method import Arrays, Declaration, RejectedUpdate
from models.parts import layout_of, part_of

_CHUNK = 1 << 18  # values worked on at once: they stay in the cache
_DTYPES = (np.float16, np.float32)
_ABSURD = 1e18  # a norm whose square no longer fits into float32
_SHOWN = 60  # characters of a name that came over the wire


def check(settings: Any, declaration: Declaration, previous: Arrays | None, arrays: Arrays) -> None:
    """Looks at an update whatever the aggregation's rule is.

    Raises:
        RejectedUpdate: with the figure, unless `arrays` are float16 or float32 tensors of finite values, with a norm
            below 1e18, like `previous` in names, types and shapes, and no farther from it than `max_norm`.
    """
    del declaration
    if not arrays:
        raise RejectedUpdate("the update holds no tensor")
    if previous is not None and (fault := unlike(arrays, previous, "the model that it was made from")):
        raise RejectedUpdate(fault)
    squares = 0.0
    for name in sorted(arrays):
        layout = layout_of(arrays, name)
        if layout.dtype not in _DTYPES:
            raise RejectedUpdate(f"the tensor {shown(name)} is {layout.dtype}; float16 and float32 can be averaged")
        squares += _squares(name, arrays[name].reshape(-1))
    if sqrt(squares) >= _ABSURD:
        raise RejectedUpdate(f"its norm of {sqrt(squares):.3g} is absurd; {_ABSURD:g} is the most that is taken")
    bound = aggregation_of(settings).max_norm
    if bound is not None and previous is not None and (step := step_norm(arrays, previous)) > bound:
        raise RejectedUpdate(f"its step from the last model has norm {step:.3g}; the job's max_norm is {bound:g}")


def unlike(arrays: Arrays, model: Arrays, what: str) -> str:
    """How an update's tensors differ from those of `model`, which is called `what`; empty where they do not."""
    if odd := sorted(set(arrays) ^ set(model)):
        names = ", ".join(shown(name) for name in odd[:5])
        return f"{len(odd)} of the tensors ({names}) are in the update or in {what}, not in both"
    for name in sorted(model):
        mine, needed = layout_of(arrays, name), layout_of(model, name)
        if mine != needed:
            return f"the tensor {shown(name)} is {mine}, in {what} {needed}"
    return ""


def step_norm(arrays: Arrays, base: Arrays) -> float:
    """The Euclidean norm of an update's difference from the model that it was made from."""
    squares = 0.0
    for name in sorted(arrays):
        for start in range(0, size := layout_of(arrays, name).size, _CHUNK):
            stop = min(size, start + _CHUNK)
            ours, theirs = part_of(arrays, name, start, stop), part_of(base, name, start, stop)
            difference = np.subtract(ours, theirs, dtype=np.float64)
            squares += float(np.dot(difference, difference))
    return sqrt(squares)


def shown(name: str) -> str:
    """A tensor's name as it stands in a message: quoted, and not longer than a line."""
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "…")


def _squares(name: str, flat: NDArray[np.generic]) -> float:
    """The sum of squares. Raises `RejectedUpdate` where a value is not finite."""
    total, chunks = 0.0, range(0, flat.size, _CHUNK)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in chunks:
            part = flat[start : start + _CHUNK].astype(np.float32, copy=False)
            total += float(np.dot(part, part))  # one quick pass: what is not finite or too large for float32 shows here
    if isfinite(total):
        return total
    if bad := sum(int((~np.isfinite(flat[start : start + _CHUNK])).sum()) for start in chunks):
        raise RejectedUpdate(f"the tensor {shown(name)} holds {bad} of {flat.size} values that are not finite")
    return sum(float(np.square(flat[start : start + _CHUNK], dtype=np.float64).sum()) for start in chunks)
