import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score

from models.hsi.accuracy import accuracy, confusion

NAMES = ("corn", "soy", "wood")


def test_figures_are_those_of_a_library() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 4, 500)
    predicted = np.where(rng.random(500) < 0.7, truth, rng.integers(1, 4, 500))
    found = accuracy(truth, predicted, NAMES)
    assert found.oa == pytest.approx(accuracy_score(truth, predicted))
    assert found.aa == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found.kappa == pytest.approx(cohen_kappa_score(truth, predicted))


def test_a_class_without_test_pixels_does_not_count_in_the_average() -> None:
    found = accuracy(np.array([1, 1, 3, 3]), np.array([1, 2, 3, 3]), NAMES)
    assert found.per_class == {"corn": 0.5, "soy": None, "wood": 1.0}
    assert found.aa == 0.75 and found.pixels["soy"] == 0


def test_one_class_everywhere_is_perfect_agreement() -> None:
    assert accuracy(np.array([2, 2]), np.array([2, 2]), NAMES).kappa == 1.0


def test_labels_of_eight_bits_do_not_overflow() -> None:
    names = tuple(map(str, range(200)))
    everything = np.arange(1, 201).astype(np.uint8)
    assert (confusion(everything, everything, names) == np.eye(200)).all()


def test_a_number_that_is_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="predicted classes lie from 1 to 4"):
        accuracy(np.array([1, 2]), np.array([1, 4]), NAMES)
    with pytest.raises(ValueError, match="true classes lie from 0"):
        accuracy(np.array([0, 2]), np.array([1, 2]), NAMES)
    with pytest.raises(ValueError, match="do not fit"):
        accuracy(np.array([1, 2]), np.array([1]), NAMES)
