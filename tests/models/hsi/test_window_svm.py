import numpy as np
import pytest

from models.hsi.accuracy import accuracy
from models.hsi.moments import band_sums
from models.hsi.projection import fit
from models.hsi.splits import Split, disjoint_split, random_split
from models.hsi.window_svm import WindowSvm
from tests.models.hsi.conftest import Labelled


def oa(scene: Labelled, split: Split) -> float:
    cube, labels = scene
    components = fit(band_sums(cube[tuple(split.train.T)]), 30).apply(cube)
    predicted = WindowSvm(10).train(components, split.train, labels).predict(components, split.test)
    return accuracy(labels[tuple(split.test.T)], predicted, tuple(map(str, range(1, 17)))).oa


def test_a_random_split_flatters_the_baseline_by_ten_points_or_more(indian_pines: Labelled) -> None:
    labels = indian_pines[1]
    leaky = oa(indian_pines, random_split(labels, 10, seed=0))
    assert leaky >= 0.92
    for seed in range(3):
        assert oa(indian_pines, disjoint_split(labels, 10, seed=seed)) <= leaky - 0.10


def test_training_pixels_of_one_class_are_refused(fields: Labelled) -> None:
    cube, labels = fields
    with pytest.raises(ValueError, match="all of one class"):
        WindowSvm(4).train(cube.astype(np.float32), np.argwhere(labels == 1), labels)
