import numpy as np
import pytest

from models.feddymem.holdout import split
from models.method import SiteData, Unusable


def _data(images: int, tmp_path, site: str = "plant-a", fingerprint: str = "f") -> SiteData:
    return SiteData([np.zeros((1, 1, 3), np.uint8)] * images, fingerprint, {}, tmp_path, site)


@pytest.mark.parametrize(("images", "held"), [(1, 0), (2, 1), (3, 1), (10, 2), (101, 20)])
def test_the_share_is_held_out_but_never_all(images, held, tmp_path):
    training, holdout = split(_data(images, tmp_path), 0.2)
    assert len(holdout) == held
    np.testing.assert_array_equal(np.sort(np.concatenate([training, holdout])), np.arange(images))


def test_one_image_is_left_to_train_on_when_nearly_all_are_to_be_held_out(tmp_path):
    assert len(split(_data(5, tmp_path), 0.99)[0]) == 1


def test_the_split_is_the_same_when_the_same_images_lie_elsewhere(tmp_path):
    first = split(_data(50, tmp_path), 0.2)[1]
    np.testing.assert_array_equal(first, split(_data(50, tmp_path / "moved", fingerprint="g"), 0.2)[1])
    assert not np.array_equal(first, split(_data(50, tmp_path, "plant-b"), 0.2)[1])


def test_a_site_without_images_is_told_what_to_do(tmp_path):
    with pytest.raises(Unusable, match="plant-a has no normal image to learn from"):
        split(_data(0, tmp_path), 0.2)
