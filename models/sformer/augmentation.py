"""Pure changes of a batch of windows that leave the class of each window's pixel what it is.

b is the batch, c the components, s the side of a window, whose pixel lies at the index s // 2 of rows and columns.
Randomness comes from the generator alone.
"""

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
    """Each window, with probability 1/2, mirrored in one of two ways or rotated in one of three, as the paper does."""
    ways = torch.randint(10, (len(windows),), generator=generator)
    changed = windows.clone()
    for way, change in enumerate(_TURNS):
        chosen = ways == way
        changed[chosen] = change(windows[chosen])
    return changed


def noisy(windows: Tensor, deviation: float, generator: Generator) -> Tensor:
    """Independent noise in every pixel and component."""
    return windows + deviation * torch.randn(windows.shape, generator=generator)
