import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

DATA = Path(os.environ.get("EDGEFED_TEST_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
NAMES = ("corn", "soy", "wood")
Made = tuple[NDArray[np.uint16], NDArray[np.int16]]


@pytest.fixture(scope="session")
def scenes() -> Path:
    """The folder of real scenes."""
    if not (DATA / "scenes").is_dir():
        pytest.skip(f"the real scenes are not here: {DATA / 'scenes'}")
    return DATA / "scenes"


@pytest.fixture
def made() -> Made:
    """A scene of 24 x 30 pixels and 8 bands, and the labels of 3 classes in stripes."""
    rng = np.random.default_rng(0)
    labels = (np.arange(30)[None, :] // 5 % 4 * np.ones((24, 1))).astype(np.int16)
    spectra = rng.integers(1000, 60_000, (4, 8))
    return (spectra[labels] + rng.integers(0, 900, (24, 30, 8))).astype(np.uint16), labels
