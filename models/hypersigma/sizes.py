"""What a network is built for: the published sizes of the transformer, and the cubes that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Numbers of a transformer, the same for its spatial and its spectral branch.

    Attributes:
        width: E, features of a token.
        depth: blocks.
        heads: attention heads.
        interval: every `interval`-th block attends to all tokens; the others sample.
        outputs: indices from 0 of the four blocks whose tokens the task heads read.
        points: P, samples of a query in a sampling block.
    """

    width: int
    depth: int
    heads: int
    interval: int
    outputs: tuple[int, int, int, int]
    points: int = 8


SIZES: Mapping[str, Size] = {
    "small": Size(width=96, depth=4, heads=4, interval=2, outputs=(0, 1, 2, 3)),
    "base": Size(width=768, depth=12, heads=12, interval=3, outputs=(3, 5, 7, 11)),
    "large": Size(width=1024, depth=24, heads=16, interval=6, outputs=(7, 11, 15, 23)),
    "huge": Size(width=1280, depth=32, heads=16, interval=8, outputs=(10, 15, 20, 31)),
}
"""The three published sizes, and one that trains from random weights on a CPU."""


@dataclass(frozen=True)
class Window:
    """The cubes that a network is built for; (b, bands, height, width) float32 goes in.

    Attributes:
        bands: C.
        height: in pixels.
        width: in pixels.
        patch: p, side in pixels of a spatial token; rows and columns that fill no patch are not seen.

    Raises:
        ValueError: no bands, or an image smaller than a patch.
    """

    bands: int
    height: int
    width: int
    patch: int

    def __post_init__(self) -> None:
        if self.bands < 1 or self.patch < 1:
            raise ValueError(f"a cube of {self.bands} bands in patches of {self.patch} pixels: both must be 1 or more")
        if min(self.height, self.width) < self.patch:
            raise ValueError(
                f"an image of {self.height} x {self.width} pixels is smaller than a patch of {self.patch} pixels square"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of spatial tokens."""
        return self.height // self.patch, self.width // self.patch

    @property
    def pixels(self) -> int:
        """Pixels of a band image, which a spectral token is made of."""
        return self.height * self.width

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ValueError where a cube is not of this window.

        Args:
            shape: of the cube, (b, bands, height, width).
        """
        expected = (self.bands, self.height, self.width)
        if len(shape) != 4 or tuple(shape[1:]) != expected:
            raise ValueError(
                f"the network takes cubes of (batch, bands, height, width) = (any, {', '.join(map(str, expected))}), "
                f"not {tuple(shape)}"
            )
