import numpy as np
import pytest

from models.feature_cache import cached_features

WIDTH = 6


class Extractor:
    """Features that say which image they are of; counts the images it was asked for."""

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        features = np.zeros((len(images), 2, 3, WIDTH), np.float16)
        features[..., 0] = 1
        for position, image in enumerate(images):
            features[position, ..., 1:] = image[0, 0, 0] / 1000
        return features


IMAGES = [np.full((1, 1, 3), value, np.uint8) for value in range(40)]


def _cache(tmp_path, extractor, images=IMAGES, key="key", report=lambda *_: None):
    return cached_features(images, extractor, WIDTH, tmp_path, key, report)


def test_features_are_made_once_and_read_in_order(tmp_path):
    extractor, told = Extractor(), []
    _cache(tmp_path, extractor, report=lambda *progress: told.append(progress))
    cache = _cache(tmp_path, extractor)
    assert extractor.seen == 40
    assert told == [("features", 16, 40), ("features", 32, 40), ("features", 40, 40)]
    indices, blocks = zip(*cache.blocks(), strict=True)
    np.testing.assert_array_equal(np.concatenate(indices), np.arange(40))
    np.testing.assert_allclose(np.concatenate(blocks)[:, 0, 0, 1], np.arange(40) / 1000, atol=1e-4)


def test_an_interrupted_extraction_goes_on_where_it_stopped(tmp_path):
    extractor = Extractor()

    def stop(stage, step, steps):
        if step == 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _cache(tmp_path, extractor, report=stop)
    _cache(tmp_path, extractor)
    assert extractor.seen == 40


@pytest.mark.parametrize("damage", ["truncated", "empty", "zeroed", "foreign", "not finite", "other width"])
def test_a_damaged_block_alone_is_made_again(tmp_path, damage):
    extractor = Extractor()
    cache = _cache(tmp_path, extractor)
    path = sorted(cache.folder.glob("*.npy"))[1]
    good, raw = np.load(path), path.read_bytes()
    if damage in ("truncated", "empty", "foreign"):
        path.write_bytes({"truncated": raw[:-7], "empty": b"", "foreign": b"hello"}[damage])
    else:
        np.save(
            path, {"zeroed": 0 * good, "not finite": good + np.float16("inf"), "other width": good[..., :4]}[damage]
        )
    _cache(tmp_path, extractor)
    assert extractor.seen == 40 + 16
    np.testing.assert_array_equal(np.load(path), good)


def test_a_cache_of_other_data_is_replaced(tmp_path):
    extractor = Extractor()
    _cache(tmp_path, extractor)
    _cache(tmp_path, extractor, images=IMAGES[:3], key="other")
    assert extractor.seen == 43
    assert len(list(tmp_path.glob("features-*"))) == 1


def test_sampled_patches_come_from_the_chosen_images_each_once(tmp_path):
    cache = _cache(tmp_path, Extractor())
    patches = cache.sample_patches(np.array([3, 17, 39]), 1000, np.random.default_rng(0))
    assert patches.shape == (18, WIDTH)
    values, counts = np.unique(np.round(patches[:, 1] * 1000), return_counts=True)
    np.testing.assert_array_equal(values, [3, 17, 39])
    np.testing.assert_array_equal(counts, 6)
    assert cache.sample_patches(np.arange(40), 50, np.random.default_rng(0)).shape == (50, WIDTH)


def test_the_same_patches_are_sampled_when_the_seed_is_equal(tmp_path):
    cache = _cache(tmp_path, Extractor())
    first, second = (cache.sample_patches(np.arange(40), 50, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
