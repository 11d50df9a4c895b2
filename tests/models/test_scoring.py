import numpy as np
import pytest

from models.scoring import cell_scales, image_scores, nearest_distance, smooth_maps

ROWS = np.array([[0, 0], [3, 4]], np.float32)
PATCHES = np.array([[0, 1], [3, 4], [3, 0]], np.float32)


def test_distance_is_to_the_nearest_row():
    found = nearest_distance(PATCHES, ROWS, np.ones(2, np.float32))
    np.testing.assert_allclose(found, [1, 0, 3], atol=2e-3)


def test_a_wide_cell_makes_its_row_nearer():
    found = nearest_distance(PATCHES, ROWS, np.array([1, 2], np.float32))
    np.testing.assert_allclose(found, [1, 0, 2], atol=2e-3)


def test_distances_are_those_of_brute_force_when_there_are_several_chunks():
    rng = np.random.default_rng(0)
    patches, rows = rng.normal(size=(5000, 7)).astype(np.float32), rng.normal(size=(30, 7)).astype(np.float32)
    scales = rng.uniform(0.5, 2, 30).astype(np.float32)
    expected = (np.linalg.norm(patches[:, None] - rows, axis=2) / scales).min(axis=1)
    np.testing.assert_allclose(nearest_distance(patches, rows, scales), expected, atol=1e-3)


def test_a_shorter_row_has_a_wider_cell_as_computed_by_hand():
    rows = np.array([[1.0, 0.0], [0.0, 0.8]], np.float32)  # variances 0 and 0.36, their mean 0.18
    expected = (np.array([0.09, 0.45]) / 0.27) ** 0.25
    np.testing.assert_allclose(cell_scales(rows), expected, rtol=1e-5)


def test_cells_of_single_patches_are_all_alike():
    np.testing.assert_allclose(cell_scales(np.eye(3, dtype=np.float32)), (1 / 3) ** 0.25, rtol=1e-5)


@pytest.mark.parametrize(("rule", "expected"), [("max", 784.0), ("top1%", 780.5), ("top3%", 772.5)])
def test_an_image_scores_by_its_highest_patches_as_the_rule_says(rule, expected):
    patches = np.random.default_rng(0).permutation(np.arange(1, 785)).astype(np.float32)
    maps = np.stack([patches.reshape(28, 28), np.zeros((28, 28), np.float32)])
    np.testing.assert_allclose(
        image_scores(maps, rule, self_normalise=False), [expected, 0.0]
    )  # the mean of 1, 8 and 24 patches


def test_one_patch_is_enough_when_the_grid_is_small():
    assert image_scores(np.array([[[1.0, 5.0]]], np.float32), "top1%", self_normalise=False) == [5.0]


def test_a_score_counts_relative_to_the_images_own_mean():
    maps = np.array([[[16.0, 16.0]], [[0.0, 32.0]], [[0.0, 0.0]]], np.float32)
    np.testing.assert_allclose(image_scores(maps, "max", self_normalise=True), [8.0, 16.0, 0.0])


def test_smoothing_keeps_images_apart_and_constants_as_they_are():
    maps = np.stack([np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)])
    np.testing.assert_allclose(smooth_maps(maps), maps, atol=1e-6)
