from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.hsi.scene import Scene
from models.method import SiteData

CLASSES = ("soil", "water", "corn")

MakeSite = Callable[..., SiteData]


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    """A site with one small scene of three classes that differ in their spectra."""

    def make(seed: int = 0, **change: object) -> SiteData:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 4, (12, 14)).astype(np.int16)
        means = np.random.default_rng(99).integers(500, 3000, (4, 20))
        cube = (means[labels] + rng.integers(-100, 100, (12, 14, 20))).astype(np.uint16)
        fields = {
            "cube": cube,
            "labels": labels,
            "class_names": CLASSES,
            "valid": np.ones((12, 14), bool),
            "wavelengths": np.linspace(400, 900, 20, dtype=np.float32),
        }
        return SiteData([], str(seed), {}, tmp_path, f"site-{seed}", (Scene(**{**fields, **change}),))

    return make
