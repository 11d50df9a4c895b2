import numpy as np
import pytest

from models.hsi.resampling import resampling

OWN = np.arange(400, 1001, 10.0)


def smooth(wavelengths: np.ndarray) -> np.ndarray:
    return 0.4 + 0.3 * np.sin(wavelengths / 120)


def test_equal_bands_stay_as_they_are() -> None:
    assert np.allclose(resampling(OWN, OWN), np.eye(len(OWN)))


@pytest.mark.parametrize("step", [3.0, 10.0, 13.0, 40.0])
def test_a_smooth_spectrum_is_kept_at_other_wavelengths(step: float) -> None:
    wanted = np.arange(450, 950, step)
    assert np.abs(smooth(OWN) @ resampling(OWN, wanted) - smooth(wanted)).max() < 0.02


def test_a_flat_spectrum_stays_flat_and_the_order_of_bands_does_not_matter() -> None:
    wanted, order = np.arange(420, 990, 25.0), np.random.default_rng(0).permutation(len(OWN))
    weights = resampling(OWN[order], wanted)
    assert np.allclose(weights.sum(axis=0), 1)
    assert np.allclose(weights, resampling(OWN, wanted)[order])


def test_wavelengths_that_the_camera_does_not_see_are_named() -> None:
    with pytest.raises(ValueError, match=r"sees 400 to 1000 nm and nothing near 2 of the job's 3 .*: 1200, 2200 nm"):
        resampling(OWN, np.array([500.0, 1200.0, 2200.0]))


def test_a_gap_between_the_bands_is_not_filled() -> None:
    own = np.concatenate([np.arange(400, 600, 10.0), np.arange(900, 1000, 10.0)])
    with pytest.raises(ValueError, match="750 nm"):
        resampling(own, np.array([500.0, 510.0, 520.0, 750.0]))


def test_bands_of_one_wavelength_count_once() -> None:
    weights = resampling(np.array([400.0, 410.0, 410.0, 420.0]), np.array([405.0, 415.0]))
    assert np.allclose(weights, [[0.5, 0], [0.5, 0.5], [0, 0], [0, 0.5]])
