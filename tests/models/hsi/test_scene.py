import numpy as np
import pytest

from models.hsi.scene import Scene

NAMES = ("corn", "wood")


def scene(cube_shape: tuple[int, ...], labels: np.ndarray, names: tuple[str, ...] = NAMES) -> Scene:
    return Scene(np.zeros(cube_shape, np.uint16), labels.astype(np.int16), names, np.ones(labels.shape, bool))


def test_counts_are_by_name() -> None:
    assert scene((2, 2, 5), np.array([[0, 2], [2, 1]])).counts == {"corn": 1, "wood": 2}


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        ((5, 3, 4), "its bands come first"),
        ((3, 5, 4), "its bands lie in the middle"),
        ((4, 3, 5), "exchanged"),
        ((9, 8, 5), "must have the same rows and columns"),
        ((3, 4), "rows, columns, bands"),
    ],
)
def test_a_cube_that_does_not_fit_its_labels_is_explained(cube: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scene(cube, np.zeros((3, 4)))


def test_labels_outside_the_declared_classes_are_named() -> None:
    with pytest.raises(ValueError, match="the labels hold 3, 7, and the 2 declared classes have the numbers 1 to 2"):
        scene((2, 2, 5), np.array([[3, 7], [1, 0]]))
    with pytest.raises(ValueError, match="hold -1"):
        scene((2, 2, 5), np.array([[-1, 2], [1, 0]]))


def test_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="each another one"):
        scene((2, 2, 5), np.zeros((2, 2)), ("corn", "corn"))


def test_a_label_where_the_sensor_saw_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves out labelled ones"):
        Scene(np.zeros((2, 2, 3)), np.ones((2, 2), np.int16), NAMES, np.zeros((2, 2), bool))


def test_wavelengths_must_be_as_many_as_bands() -> None:
    with pytest.raises(ValueError, match="5 bands need as many wavelengths"):
        Scene(
            np.zeros((2, 2, 5)),
            np.zeros((2, 2), np.int16),
            NAMES,
            np.ones((2, 2), bool),
            np.arange(4, dtype=np.float32),
        )
