from pathlib import Path

import numpy as np
import pytest

from edge_client.cubes.opening import open_cube
from edge_client.cubes.settings import CubeSettings
from edge_client.cubes.view import view
from protos.errors import InvalidInput
from tests.edge_client.cubes.conftest import Made

OWN = CubeSettings(wavelengths=tuple(range(400, 480, 10)))


@pytest.fixture
def path(tmp_path: Path, made: Made) -> Path:
    np.save(tmp_path / "a.npy", made[0])
    return tmp_path / "a.npy"


def test_a_cube_is_resampled_to_the_wavelengths_of_a_job(path: Path, made: Made) -> None:
    found = view(open_cube(path), OWN, np.array([405.0, 415.0]))
    spectra, valid = found.rows(2, 5)
    assert found.shape == (24, 30, 2) and found.dtype == spectra.dtype == np.float32 and valid.all()
    assert np.allclose(spectra[..., 0], made[0][2:5, :, :2].mean(axis=2))


def test_a_cube_of_the_jobs_wavelengths_stays_as_it_is(path: Path, made: Made) -> None:
    found = view(open_cube(path), OWN, np.arange(400.0, 480, 10))
    assert found.dtype == np.uint16 and (found.rows(0, 24)[0] == made[0]).all()


def test_a_cube_without_wavelengths_is_refused_by_name(path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nobody says those of .*a\.npy: give the centre of each band"):
        view(open_cube(path), CubeSettings(), np.array([405.0, 415.0]))


def test_wavelengths_that_a_cube_does_not_see_are_named(path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a\.npy cannot be resampled: .* near 1 of the job's 2 wavelengths: 900 nm"):
        view(open_cube(path), OWN, np.array([450.0, 900.0]))


def test_wavelengths_meet_in_any_order(path: Path, made: Made) -> None:
    backwards = CubeSettings(wavelengths=tuple(range(470, 390, -10)))
    spectra, _ = view(open_cube(path), backwards, np.array([415.0, 405.0])).rows(0, 24)
    assert np.allclose(spectra[..., 0], made[0][..., 5:7].mean(axis=2))
    assert np.allclose(spectra[..., 1], made[0][..., 6:8].mean(axis=2))


def test_counts_at_the_end_of_their_type_are_resampled_without_overflow(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((2, 3, 8), 65_535, np.uint16))
    spectra, valid = view(open_cube(tmp_path / "a.npy"), OWN, np.array([405.0, 415.0])).rows(0, 2)
    assert valid.all() and (spectra == 65_535).all()
    _, valid = view(open_cube(tmp_path / "a.npy"), OWN.model_copy(update={"no_data": -9999.0})).rows(0, 2)
    assert valid.all()  # a value that the type cannot hold is at no pixel
    _, valid = view(open_cube(tmp_path / "a.npy"), OWN.model_copy(update={"no_data": 65_535.0})).rows(0, 2)
    assert not valid.any()


def test_wavelengths_that_are_no_lengths_are_refused(tmp_path: Path, made: Made) -> None:
    for wrong in (np.nan, -5.0, 0.0):
        np.savez(tmp_path / "a.npz", cube=made[0], wavelengths=[wrong, *range(410, 480, 10)])
        with pytest.raises(InvalidInput, match=r"a\.npz has wavelengths that are no positive numbers"):
            view(open_cube(tmp_path / "a.npz"), CubeSettings())
        assert view(open_cube(tmp_path / "a.npz"), CubeSettings(bad_bands=((1, 1),))).shape == (24, 30, 7)


def test_as_many_wavelengths_as_columns_tell_of_a_transposed_cube(tmp_path: Path, made: Made) -> None:
    np.save(tmp_path / "a.npy", made[0].transpose(2, 0, 1))
    with pytest.raises(InvalidInput, match=r"30 bands and site\.toml gives 8 wavelengths; is the cube transposed\?"):
        view(open_cube(tmp_path / "a.npy"), OWN)
