"""What an SFormer is made of, as a value; two presets, `PAPER` and `SMALL`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le

_STRICT: Final = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The network without its first and last width, which the scene decides.

    The last four are the points where the paper's figure and the authors' code differ, or where the code changed; the
    defaults are what their newest code does.

    Attributes:
        window: side of the windows, in pixels.
        patch: side of a token, in pixels; divides the window.
        channels: C, width of a token.
        groups: g, spectral groups that a token is split into for attention; divides C.
        heads: of attention; divides C / g.
        stages: how often a kernel-selective block stands before token-selective ones.
        depth: token-selective blocks in all stages together.
        hidden: width of the feed-forward part of a token-selective block.
        keep: share of the tokens that each query keeps, by rank of their scores.
        share_kernel_block: all stages use one and the same kernel-selective block; the figure draws one for each.
        kernel_norm: of a kernel-selective block; the figure draws "layer".
        spatial_selection: "sigmoid" maps mean and maximum over channels to one gate for each kernel; "mean" is the
            first release, which took the bare mean as the gate of both.
        normalise: queries and keys get length 1 along their "tokens", as in the code, or along their "channels", which
            makes a score the cosine of a query and a key.
    """

    __pydantic_config__ = _STRICT

    window: Annotated[int, Ge(2), Le(64)] = 10
    patch: Annotated[int, Ge(1), Le(16)] = 2
    channels: Annotated[int, Ge(8), Le(1024)] = 128
    groups: Annotated[int, Ge(1), Le(64)] = 4
    heads: Annotated[int, Ge(1), Le(64)] = 8
    stages: Annotated[int, Ge(1), Le(16)] = 2
    depth: Annotated[int, Ge(1), Le(64)] = 6
    hidden: Annotated[int, Ge(1), Le(4096)] = 180
    keep: Annotated[float, Gt(0), Le(1)] = 0.8
    share_kernel_block: bool = True
    kernel_norm: Literal["batch", "layer"] = "batch"
    spatial_selection: Literal["sigmoid", "mean"] = "sigmoid"
    normalise: Literal["tokens", "channels"] = "tokens"

    def __post_init__(self) -> None:
        if self.window % self.patch:
            raise ValueError(f"a window of {self.window} pixels does not divide into tokens of {self.patch}")
        if self.channels % (self.groups * self.heads) or self.channels % 2:
            raise ValueError(
                f"{self.channels} channels do not divide into {self.groups} groups of {self.heads} heads; an even"
                f" multiple of {self.groups * self.heads} does"
            )
        if self.depth % self.stages:
            raise ValueError(f"{self.depth} token-selective blocks do not divide into {self.stages} stages")
        if int(self.tokens * self.keep) < 1:
            raise ValueError(f"keep = {self.keep} leaves none of {self.tokens} tokens")

    @property
    def grid(self) -> int:
        """Patches along a side of the window."""
        return self.window // self.patch

    @property
    def tokens(self) -> int:
        """N, what attention runs over: every patch of the window in every spectral group."""
        return self.grid**2 * self.groups


PAPER = Architecture()
SMALL = Architecture(channels=64, groups=2, depth=2, hidden=96)
PRESETS: Final = {"paper": PAPER, "small": SMALL}
