"""scikit-learn's handwritten digits dealt out to sites as scenes of 64 bands, a pixel each digit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from models.hsi.scene import Scene
from models.method import SiteData

CLASSES = tuple("0123456789")
TEST = 597  # of 1,797 digits


def scene_of(images: NDArray[np.float64], digits: NDArray[np.int64]) -> Scene:
    """Images (n, 64) of 0 to 16 as a scene of one row."""
    cube = images.astype(np.uint16)[None]
    return Scene(cube, (digits + 1).astype(np.int16)[None], CLASSES, np.ones((1, len(digits)), bool))


def deal(sites: int, alpha: float, seed: int, scratch: Path) -> tuple[dict[str, SiteData], Scene]:
    """Site -> its digits, and those kept for the test.

    Each digit's images go to the sites in shares drawn from Dir(alpha); drawn again until every site has 20 images.
    """
    rng, data = np.random.default_rng(seed), load_digits()
    order = rng.permutation(len(data.target))
    test, train = order[:TEST], order[TEST:]
    parts: list[NDArray[np.int64]] = []
    while not parts or min(map(len, parts)) < 20:
        dealt: list[list[NDArray[np.int64]]] = [[] for _ in range(sites)]
        for digit in range(10):
            of_digit = rng.permutation(train[data.target[train] == digit])
            cuts = (rng.dirichlet(np.full(sites, alpha)).cumsum()[:-1] * len(of_digit)).astype(int)
            for site, part in zip(dealt, np.split(of_digit, cuts), strict=True):
                site.append(part)
        parts = [np.concatenate(site) for site in dealt]
    named = {f"site-{index}": part for index, part in enumerate(parts)}
    made = {
        site: SiteData([], site, {}, scratch, site, (scene_of(data.data[part], data.target[part]),))
        for site, part in named.items()
    }
    return made, scene_of(data.data[test], data.target[test])


def small_start(bands: int, classes: int, weights: Mapping[str, Path]) -> nn.Module:
    """The network `spectral-mlp` with weights as PyTorch draws them."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(bands, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, classes)
    )
