import numpy as np

from models.hsi.neighbours import differences

CUBE = np.array([[[9], [4], [7]], [[1], [65_535], [0]]], np.uint16)
ALL_VALID = np.ones((2, 3), bool)


def test_differences_are_to_the_pixels_below_and_to_the_right() -> None:
    assert differences(CUBE, np.array([[0, 0], [0, 1]]), ALL_VALID).tolist() == [[-8], [65_531], [-5], [3]]


def test_differences_are_to_the_pixels_before_at_the_border() -> None:
    assert differences(CUBE, np.array([[1, 2]]), ALL_VALID).tolist() == [[7], [65_535]]


def test_differences_to_pixels_that_were_not_seen_are_left_out() -> None:
    valid = ALL_VALID.copy()
    valid[1, 0] = False
    assert differences(CUBE.astype(np.float32), np.array([[0, 0]]), valid).tolist() == [[-5.0]]
