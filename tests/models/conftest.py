import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.backbones.registry import weights_file
from models.method import SiteData

torch.set_num_threads(1)  # small tensors beside other tests: more threads only wait for each other

Images = Sequence[NDArray[np.uint8]]


@pytest.fixture(scope="session")
def lite0() -> Path:
    return weights_file("efficientnet_lite0", {})


@pytest.fixture(scope="session")
def textures() -> Images:
    """Twelve small images of noise at different scales: real input for a real network, of no product."""
    rng = np.random.default_rng(0)
    return [np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((10, 12, 1))).astype(np.uint8) for _ in range(12)]


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., SiteData]:
    def make(images: Images, name: str = "plant-a", weights: dict[str, Path] | None = None) -> SiteData:
        digest = hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()
        scratch = tmp_path / name
        scratch.mkdir(exist_ok=True)
        return SiteData(images, digest, weights or {}, scratch, name)

    return make


@pytest.fixture(scope="session")
def solar_cells() -> dict[str, Images]:
    """Real electroluminescence images: "mono", "poly" functional ones and "mono defect", "poly defect"."""
    elpv = pytest.importorskip("elpv_dataset.utils", reason="the real images come with the package elpv-dataset")
    images, defective, kinds = elpv.load_dataset()
    rng = np.random.default_rng(0)
    found = {}
    for kind in ("mono", "poly"):
        for name, grade in ((kind, 0.0), (f"{kind} defect", 1.0)):
            chosen = rng.permutation(np.flatnonzero((defective == grade) & (kinds == kind)))[:200]
            found[name] = [np.repeat(images[index][:, :, None], 3, axis=2) for index in chosen]
    return found
