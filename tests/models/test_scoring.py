import numpy as np
import pytest

from models.scoring import image_scores, nearest_distance, smooth_maps


def test_distance_is_to_the_nearest_row():
    rows = np.array([[0, 0], [3, 4]], np.float32)
    patches = np.array([[0, 1], [3, 4], [3, 0]], np.float32)
    np.testing.assert_allclose(nearest_distance(patches, rows), [1, 0, 3], atol=1e-3)


@pytest.mark.parametrize(("rule", "expected"), [("max", 784.0), ("top1%", 780.5), ("top3%", 772.5)])
def test_an_image_scores_by_its_highest_patches_as_the_rule_says(rule, expected):
    patches = np.random.default_rng(0).permutation(np.arange(1, 785)).astype(np.float32)
    maps = np.stack([patches.reshape(28, 28), np.zeros((28, 28), np.float32)])
    np.testing.assert_allclose(image_scores(maps, rule), [expected, 0.0])  # the mean of 1, 8 and 24 patches


def test_one_patch_is_enough_when_the_grid_is_small():
    assert image_scores(np.array([[[1.0, 5.0]]], np.float32), "top1%") == [5.0]


def test_smoothing_keeps_images_apart_and_constants_as_they_are():
    maps = np.stack([np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)])
    np.testing.assert_allclose(smooth_maps(maps), maps, atol=1e-6)
