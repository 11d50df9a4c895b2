"""A change of windows that leaves the class of each window's pixel what it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

_TURNS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda windows: windows.flip(-1),
    lambda windows: windows.flip(-2),
    lambda windows: windows.rot90(1, (-2, -1)),
    lambda windows: windows.rot90(2, (-2, -1)),
    lambda windows: windows.rot90(3, (-2, -1)),
)


def turned(windows: Tensor, generator: Generator) -> Tensor:
    """Each of the windows (b, c, s, s), with probability 1/2, mirrored in one of two ways or rotated in one of three.

    That is what the paper does.
    """
    ways = torch.randint(10, (len(windows),), generator=generator)
    changed = windows.clone()
    for way, change in enumerate(_TURNS):
        chosen = ways == way
        changed[chosen] = change(windows[chosen])
    return changed
