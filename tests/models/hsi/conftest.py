import numpy as np
import pytest
from numpy.typing import NDArray

Labelled = tuple[NDArray[np.uint16], NDArray[np.int16]]


@pytest.fixture(scope="session")
def indian_pines() -> Labelled:
    """The real scene: (145, 145, 200) uint16 and its 16 classes."""
    pytest.importorskip("tensorly.datasets", reason="the scene comes with the package tensorly")
    from benchmarks.indian_pines import load_scene

    scene = load_scene()
    return np.asarray(scene.cube, np.uint16), scene.labels


@pytest.fixture(scope="session")
def fields() -> Labelled:
    """A made scene of 60 x 70 pixels and 12 bands: stripes of three classes, each of another spectrum."""
    rng = np.random.default_rng(0)
    labels = (np.arange(70)[None, :] // 6 % 4 * np.ones((60, 1))).astype(np.int16)
    spectra = rng.integers(1000, 60_000, (4, 12))
    return (spectra[labels] + rng.integers(0, 900, (60, 70, 12))).astype(np.uint16), labels
