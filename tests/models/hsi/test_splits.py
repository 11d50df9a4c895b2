import logging

import numpy as np
import pytest

from models.hsi.splits import RANDOM_WARNING, Split, check_trained, disjoint_split, random_split, shared_windows
from models.hsi.windows import cut
from tests.models.hsi.conftest import Labelled


def test_windows_of_a_disjoint_split_share_no_pixel(indian_pines: Labelled) -> None:
    labels = indian_pines[1]
    places = np.arange(labels.size).reshape(*labels.shape, 1)
    for seed in range(5):
        split = disjoint_split(labels, 10, seed=seed)
        trained = set(cut(places, split.train, 10).ravel().tolist())
        assert not trained & set(cut(places, split.test, 10).ravel().tolist())
        assert set(labels[tuple(split.train.T)].tolist()) == set(range(1, 17))
        tested = np.unique(labels[tuple(split.test.T)])
        assert len(tested) >= 8 and len(split.test) >= 500


def test_a_random_split_is_the_published_one_and_warns(
    indian_pines: Labelled, caplog: pytest.LogCaptureFixture
) -> None:
    labels = indian_pines[1]
    with caplog.at_level(logging.WARNING):
        split = random_split(labels, 10, seed=0)
    assert (len(split.train), len(split.test)) == (695, 9554)
    assert RANDOM_WARNING in caplog.text
    assert shared_windows(split, labels.shape) == 9554
    split.check(labels.shape)


def test_a_random_split_that_calls_itself_disjoint_is_refused(fields: Labelled) -> None:
    labels = fields[1]
    split = random_split(labels, 6, seed=0)
    with pytest.raises(ValueError, match=r"share pixels with training windows of 6 x 6; this split is not disjoint"):
        Split(split.train, split.test, "disjoint", 6).check(labels.shape)


def test_a_pixel_that_trains_and_tests_is_refused_in_a_random_split(fields: Labelled) -> None:
    split = random_split(fields[1], 6, seed=0)
    both = np.concatenate([split.test, split.train[:2]])
    with pytest.raises(ValueError, match=r"2 of \d+ test pixels"):
        Split(split.train, both, "random", 6).check(fields[1].shape)


def test_a_split_is_the_same_for_the_same_seed_and_another_for_another(fields: Labelled) -> None:
    first, again, other = (disjoint_split(fields[1], 4, seed=seed) for seed in (3, 3, 4))
    assert (first.train == again.train).all() and (first.test == again.test).all()
    assert first.train.shape != other.train.shape or (first.train != other.train).any()


def test_every_class_is_trained_where_one_lies_in_a_single_block() -> None:
    labels = np.zeros((60, 60), np.int16)
    labels[:, :30], labels[:, 30:] = 1, 2
    labels[50:53, 50:53] = 3
    for seed in range(8):
        split = disjoint_split(labels, 4, seed=seed, block=15)
        assert set(labels[tuple(split.train.T)].tolist()) == {1, 2, 3}


def test_training_pixels_can_be_counted_by_class(fields: Labelled) -> None:
    split = disjoint_split(fields[1], 4, seed=0, per_class={1: 5, 2: 7, 3: 9})
    assert np.bincount(fields[1][tuple(split.train.T)]).tolist() == [0, 5, 7, 9]


def test_a_scene_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="no pixel of the scene is labelled"):
        disjoint_split(np.zeros((40, 40), np.int16), 4, seed=0)


def test_a_scene_too_small_for_its_blocks_is_refused_with_advice(fields: Labelled) -> None:
    with pytest.raises(ValueError, match="use smaller windows or larger blocks"):
        disjoint_split(fields[1][:22, :22], 20, seed=0, block=11)


def test_a_class_without_training_pixels_is_refused_by_name(fields: Labelled) -> None:
    labels, names = fields[1], ("corn", "soy", "wood")
    split = disjoint_split(labels, 4, seed=0)
    train, test = (labels[tuple(side.T)] for side in (split.train, split.test))
    check_trained(train, test, names)
    with pytest.raises(ValueError, match="no training pixel is of the class soy, which is tested"):
        check_trained(train[train != 2], test, names)
