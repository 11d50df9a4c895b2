"""Pure changes of a batch of windows that leave the class of each window's pixel what it is.

b is the batch, c the components, s the side of a window, whose pixel lies at the index s // 2 of rows and columns.
Randomness comes from the generator alone.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def turned(windows: Tensor, generator: Generator) -> Tensor:
    """Each window, with probability 1/2, mirrored in one of two ways or rotated in one of three, as the paper does."""
    ways = torch.randint(10, (len(windows),), generator=generator)
    changed = windows.clone()
    for way, change in enumerate(_TURNS):
        chosen = ways == way
        changed[chosen] = change(windows[chosen])
    return changed


_TURNS = (
    lambda windows: windows.flip(-1),
    lambda windows: windows.flip(-2),
    lambda windows: windows.rot90(1, (-2, -1)),
    lambda windows: windows.rot90(2, (-2, -1)),
    lambda windows: windows.rot90(3, (-2, -1)),
)


def shifted(windows: Tensor, deviation: float, generator: Generator) -> Tensor:
    """All pixels of a window moved by one random spectrum, of the given deviation in each component.

    Another place of the same class has other soil, light and moisture: its pixels differ as one, not each by itself.
    """
    b, c = windows.shape[:2]
    return windows + deviation * torch.randn(b, c, 1, 1, generator=generator)


def noisy(windows: Tensor, deviation: float, generator: Generator) -> Tensor:
    """Independent noise in every pixel and component."""
    return windows + deviation * torch.randn(windows.shape, generator=generator)


def resettled(windows: Tensor, share: float, generator: Generator) -> Tensor:
    """Some windows keep their middle and get the surroundings of another window of the batch.

    What lies around a field is the same for its training pixels and not for other fields of the class.
    """
    b, _, s, _ = windows.shape
    reach = torch.randint(1, s // 2, (b, 1), generator=generator)
    distance = (torch.arange(s) - s // 2).abs()
    outside = distance > reach
    chosen = torch.rand(b, generator=generator) < share
    mask = (outside[:, :, None] | outside[:, None, :]) & chosen[:, None, None]
    return torch.where(mask[:, None], windows[torch.randperm(b, generator=generator)], windows)


def blended(windows: Tensor, labels: Tensor, generator: Generator) -> Tensor:
    """Each window mixed with another of its class, at a random share."""
    order = torch.randperm(len(windows), generator=generator)
    partner = torch.arange(len(windows))
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        partner[members] = order[(labels[order] == label)]
    share = 0.5 * torch.rand(len(windows), 1, 1, 1, generator=generator)
    return torch.lerp(windows, windows[partner], share)


def masked(windows: Tensor, share: float, generator: Generator) -> Tensor:
    """Drops whole components of some windows."""
    keep = torch.rand(*windows.shape[:2], 1, 1, generator=generator) >= share
    return windows * keep
