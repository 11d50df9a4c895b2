import numpy as np
import pytest
from sklearn.decomposition import PCA

from models.hsi.moments import band_sums
from models.hsi.projection import fit, fit_against_noise, from_arrays, to_arrays
from tests.models.hsi.conftest import Labelled


def test_components_are_those_of_a_library(indian_pines: Labelled) -> None:
    spectra = indian_pines[0].reshape(-1, 200)
    ours = fit(band_sums(spectra), 30)
    theirs = PCA(30, whiten=True, svd_solver="full").fit(spectra.astype(np.float64))
    mine, expected = ours.apply(spectra), theirs.transform(spectra.astype(np.float64))
    signs = np.sign((mine * expected).sum(axis=0))
    assert np.abs(mine * signs - expected).max() < 2e-3
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_.sum(), abs=1e-9)


def test_whitened_components_of_the_training_pixels_have_variance_one(fields: Labelled) -> None:
    spectra = fields[0].reshape(-1, 12)
    components = fit(band_sums(spectra), 5).apply(spectra)
    assert np.allclose(np.cov(components.T), np.eye(5), atol=1e-3)


def test_components_scaled_by_range_are_rotated_spectra_in_units_of_it(fields: Labelled) -> None:
    spectra = fields[0].reshape(-1, 12)
    sums = band_sums(spectra)
    components = fit(sums, 12, "range").apply(spectra)
    centred = (spectra.astype(np.float64) - spectra.mean(axis=0)) / (sums.high - sums.low)
    assert np.allclose((components**2).sum(axis=1), (centred**2).sum(axis=1), rtol=1e-3)


def test_components_against_noise_are_those_of_most_signal_for_their_noise() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(4000, 1)) * [0.0, 0.0, 1.0]
    noise = rng.normal(size=(8000, 3)) * [50.0, 5.0, 0.1]
    found = fit_against_noise(band_sums(signal + noise[:4000]), band_sums(noise[:4000] - noise[4000:]), 2)
    seen = found.apply((signal + noise[:4000]).astype(np.float32))
    assert abs(np.corrcoef(seen[:, 0], signal[:, 2])[0, 1]) > 0.99
    assert np.allclose(seen.std(axis=0), [10.05, 1.0], rtol=0.05)


def test_components_against_noise_stay_finite_when_there_is_none(fields: Labelled) -> None:
    spectra = fields[0].reshape(-1, 12)
    found = fit_against_noise(band_sums(spectra), band_sums(np.zeros((5, 12), np.int64)), 4)
    assert np.isfinite(found.apply(spectra)).all()


def test_noise_of_other_bands_is_refused(fields: Labelled) -> None:
    with pytest.raises(ValueError, match="noise of 3 bands says nothing of pixels of 12"):
        fit_against_noise(band_sums(fields[0].reshape(-1, 12)), band_sums(np.ones((5, 3))), 4)


def test_a_pca_of_merged_sums_is_the_pooled_one_bit_for_bit(fields: Labelled) -> None:
    spectra = fields[0].reshape(-1, 12)
    merged = fit(band_sums(spectra[:900]) + band_sums(spectra[900:]), 6)
    assert (merged.matrix == fit(band_sums(spectra), 6).matrix).all()


def test_a_projection_survives_a_file(fields: Labelled) -> None:
    spectra = fields[0].reshape(-1, 12)
    projection = fit(band_sums(spectra), 4)
    assert (from_arrays(to_arrays(projection)).apply(spectra) == projection.apply(spectra)).all()
    with pytest.raises(ValueError, match="matrix"):
        from_arrays({"mean": np.zeros(3)})


def test_too_few_pixels_for_the_components_are_refused() -> None:
    with pytest.raises(ValueError, match="8 training pixels of 12 bands span 7 principal components, not 10"):
        fit(band_sums(np.random.default_rng(0).normal(size=(8, 12))), 10)


def test_pixels_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="span 0"):
        fit(band_sums(np.ones((50, 12), np.uint16)), 1)


def test_a_cube_of_other_bands_is_refused(fields: Labelled) -> None:
    with pytest.raises(ValueError, match="fitted on 12 bands, and the cube has 11"):
        fit(band_sums(fields[0].reshape(-1, 12)), 3).apply(fields[0][:, :, :11])
