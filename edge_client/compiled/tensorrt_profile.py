"""How large an engine's inputs may be at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """How long an input's first axis may be.

    Attributes:
        least: at least 1.
        usual: what the engine is tuned for.
        most: memory on the device is taken for this many.
    """

    least: int
    usual: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.usual <= self.most:
            raise ValueError(f"{self} does not rise from 1")


Profile = Mapping[str, Span]
"""The span of each input whose first axis is open; all other axes are fixed in the ONNX file."""


def detector_profile(batch: int, rows: int) -> Profile:
    """Spans of a detector's inputs: up to `batch` images, and room for a later bank with more rows than today's.

    A bank within the room is swapped without a new engine. It ends at the next power of two, at least 1024: the engine
    holds every patch of every image against `most` rows, and takes memory for that many.
    """
    room = max(1024, 1 << (rows - 1).bit_length())
    bank = Span(1, room, room)
    return {"images": Span(1, 1, batch), "rows": bank, "scales": bank}


def fixed_profile(rows: int) -> Profile:
    """One image, and banks of exactly so many rows: a DLA takes no layer whose shapes are open."""
    bank = Span(rows, rows, rows)
    return {"images": Span(1, 1, 1), "rows": bank, "scales": bank}
