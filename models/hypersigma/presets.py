"""The classifiers that sites can train together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from models.hypersigma.initialise import fresh
from models.hypersigma.networks import plan
from models.hypersigma.weights import load
from models.method import Unusable

SMALL_WINDOW, BASE_WINDOW = 9, 33
_BASE = "hypersigma-base"


def build_small(bands: int, classes: int, weights: Mapping[str, Path]) -> nn.Module:
    """The small classifier with random weights from torch's default generator; windows of 9 pixels, patches of 1."""
    chosen = plan("classification", "small", bands=bands, image=SMALL_WINDOW, patch=1, number=classes)
    return fresh(chosen, seed=_drawn_seed())


def build_base(bands: int, classes: int, weights: Mapping[str, Path]) -> nn.Module:
    """The published classifier; windows of 33 pixels, patches of 2.

    Args:
        bands: C.
        classes: K.
        weights: a site's files by name; "hypersigma-base" is one that `edgefed model import hypersigma` wrote. Without
            it all weights are random, from torch's default generator.

    Raises:
        Unusable: the file is of another network than this.
    """
    chosen = plan("classification", "base", bands=bands, image=BASE_WINDOW, patch=2, number=classes)
    if _BASE not in weights:
        return fresh(chosen, seed=_drawn_seed())
    network, found = load(weights[_BASE])
    if found != chosen:
        raise Unusable(
            f"{weights[_BASE]} holds {found}, and the job needs {chosen}: import the checkpoints with --bands {bands} "
            f"--number {classes}"
        )
    return network


def _drawn_seed() -> int:
    return int(torch.randint(2**31 - 1, ()))
