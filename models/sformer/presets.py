"""The two SFormers that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from models.sformer.architecture import PAPER, SMALL
from models.sformer.network import SFormer


def build_paper(bands: int, classes: int, weights: Mapping[str, Path]) -> SFormer:
    """The paper's size, untrained, for windows (n, bands, 10, 10); no weights file is needed."""
    return SFormer(PAPER, components=bands, classes=classes)


def build_small(bands: int, classes: int, weights: Mapping[str, Path]) -> SFormer:
    """A sixth of the paper's parameters and a tenth of its work, untrained, for windows (n, bands, 10, 10)."""
    return SFormer(SMALL, components=bands, classes=classes)
