"""scikit-learn's handwritten digits dealt out to sites as scenes of 64 bands, a pixel each digit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn

from models.hsi.scene import Scene
from models.method import SiteData
from models.wsa.settings import Training
from models.wsa.spectral_mlp import build
from models.wsa.training import train

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


def pretrained(bands: int, classes: int, weights: Mapping[str, Path]) -> nn.Module:
    """The network `spectral-mlp`, trained before on a related task: 600 of the digits, transposed.

    It stands for a foundation model that sites fine-tune. Some of the 600 are tested later, the other way round; that
    is alike for all methods.
    """
    network = build(bands, classes, weights)
    network.load_state_dict(_related(bands, classes, torch.initial_seed()))
    return network


@cache
def _related(bands: int, classes: int, seed: int) -> dict[str, Tensor]:
    data = load_digits()
    turned = data.images[:600].transpose(0, 2, 1).reshape(600, -1)
    windows = ((turned - turned.mean(axis=0)) / 16).astype(np.float32)[..., None, None]
    torch.manual_seed(seed)
    network = build(bands, classes, {})
    recipe = Training(optimiser="sgd", learning_rate=0.05, weight_decay=1e-4, steps=300)
    train(network, windows, data.target[:600].astype(np.int64), recipe, None, seed, lambda stage, step, steps: None)
    return network.state_dict()
