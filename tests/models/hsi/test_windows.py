import numpy as np
import pytest

from models.hsi.windows import cut, footprint, reflected, touches, window_means


def test_a_window_has_its_pixel_right_below_the_middle_when_its_side_is_even() -> None:
    cube = np.arange(20 * 20 * 2, dtype=np.uint16).reshape(20, 20, 2)
    windows = cut(cube, np.array([[10, 7]]), 4)
    assert windows.shape == (1, 2, 4, 4) and windows.dtype == np.float32
    assert (windows[0].transpose(1, 2, 0) == cube[8:12, 5:9]).all()


@pytest.mark.parametrize("size", [1, 3, 4, 9, 10])
def test_windows_are_those_of_a_reflected_scene(size: int) -> None:
    cube = np.random.default_rng(0).normal(size=(12, 15, 3)).astype(np.float32)
    pixels = np.argwhere(np.ones((12, 15), bool))
    half = size // 2
    padded = np.pad(cube, ((half, half), (half, half), (0, 0)), mode="reflect")
    expected = np.stack([padded[r : r + size, c : c + size].transpose(2, 0, 1) for r, c in pixels])
    assert (cut(cube, pixels, size) == expected).all()
    assert np.allclose(window_means(cube, pixels, size), expected.mean(axis=(2, 3)), atol=1e-6)


def test_a_scene_smaller_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="8 x 30 pixels is smaller than a window of 10 x 10"):
        cut(np.zeros((8, 30, 2), np.uint16), np.array([[3, 3]]), 10)


@pytest.mark.parametrize("size", [1, 4, 5, 10])
def test_the_footprint_is_every_pixel_that_a_window_reads(size: int) -> None:
    shape = (14, 17)
    pixels = np.array([[0, 0], [13, 16], [7, 3], [2, 16]])
    read = np.zeros(shape, bool)
    for row, column in pixels:
        rows, columns = reflected(np.array([row]), size, 14)[0], reflected(np.array([column]), size, 17)[0]
        read[np.ix_(rows, columns)] = True
    assert (footprint(pixels, size, shape) == read).all()


def test_windows_touch_where_only_the_reflection_meets() -> None:
    # The window of row 0 reads rows 0 to 5 (5 by reflection), that of row 10 reads 5 to 14.
    area = footprint(np.array([[10, 10]]), 10, (30, 30))
    assert touches(np.array([[0, 10], [0, 25]]), 10, area).tolist() == [True, False]


def test_the_mean_of_large_counts_does_not_overflow() -> None:
    cube = np.full((12, 12, 2), 65_535, np.uint16)
    assert (window_means(cube, np.array([[5, 5]]), 10) == 65_535).all()
