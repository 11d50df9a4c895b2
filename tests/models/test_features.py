import numpy as np
import pytest
import torch
from PIL import Image

from models.features import PatchFeatures, extract, stage_widths

STAGES = ("stride8", "stride16")


@pytest.fixture(scope="module")
def features(lite0):
    return PatchFeatures("efficientnet_lite0", STAGES, lite0)


def test_a_patch_has_length_one_and_each_stage_the_same_share(features, textures):
    found = extract(features, textures[:3], 96).astype(np.float32)
    assert found.shape == (3, 12, 12, 152)
    assert stage_widths("efficientnet_lite0", STAGES) == (40, 112)
    np.testing.assert_allclose(np.linalg.norm(found, axis=3), 1, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(found[..., :40], axis=3), 0.5**0.5, atol=2e-3)


def test_features_do_not_depend_on_the_images_beside(features, textures):
    together, alone = extract(features, textures[:5], 96), extract(features, textures[4:5], 96)
    np.testing.assert_allclose(together[4], alone[0], atol=2e-3)


def test_images_of_several_sizes_are_taken_together(features, textures):
    assert extract(features, [textures[0], textures[1][:33, :50], textures[2][:1, :1]], 64).shape == (3, 8, 8, 152)


def test_a_read_only_image_is_taken_as_it_is(features):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels.setflags(write=False)
    assert extract(features, [pixels], 64).shape == (1, 8, 8, 152)


def test_the_deepest_stage_ends_the_network(lite0):
    shallow = PatchFeatures("efficientnet_lite0", ("stride4", "stride8"), lite0)
    assert sum(parameter.numel() for parameter in shallow.parameters()) < 100_000
    with torch.inference_mode():
        assert shallow(torch.zeros(1, 3, 64, 64)).shape == (1, 16, 16, 64)


def test_a_shifted_solar_cell_gives_the_shifted_patches(features, solar_cells):
    """Weights and padding are right: what moves by two strides in the image moves by as much in the features."""
    cell = np.asarray(Image.fromarray(solar_cells["mono"][0]).resize((256, 256)))
    first, second = extract(features, [cell[:224, :224], cell[:224, 32:]], 224).astype(np.float32)
    inner, moved = first[8:20, 8:20].reshape(144, -1), second[8:20, 4:16].reshape(144, -1)
    distances = np.linalg.norm(inner[:, None] - moved[None], axis=2)
    assert (distances.argmin(1) == np.arange(144)).mean() > 0.9
    assert inner.std(0).min() > 0
