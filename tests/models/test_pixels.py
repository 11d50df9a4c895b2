import numpy as np
import torch
from torch.nn import functional

from models.pixels import resized


def test_resizing_is_that_of_torch_within_rounding():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    theirs = functional.interpolate(planes, (64, 64), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    assert np.abs(resized([pixels], 64)[0].astype(int) - theirs.astype(int)).max() <= 1


def test_an_image_of_the_right_size_stays_as_it_is_and_read_only_ones_are_taken():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    np.testing.assert_array_equal(resized([pixels, pixels[::-1]], 64), [pixels, pixels[::-1]])


def test_images_of_several_sizes_come_out_as_one_array():
    images = [np.full((height, width, 3), 7, np.uint8) for height, width in ((1, 1), (33, 50), (200, 64))]
    found = resized(images, 64)
    assert found.shape == (3, 64, 64, 3) and (found == 7).all()
