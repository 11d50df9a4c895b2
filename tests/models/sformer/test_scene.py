from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.hsi.windows import cut
from models.sformer.architecture import SMALL
from models.sformer.inference import logits
from models.sformer.network import SFormer
from models.sformer.scene import class_map, classified_tiles

Floats = NDArray[np.float32]


def project(spectra: NDArray[np.generic]) -> Floats:
    return np.asarray(spectra[..., :5].astype(np.float32) / 1000)


@pytest.fixture
def cube() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 5000, (23, 17, 8)).astype(np.uint16)


def test_tiles_hold_what_the_untiled_scene_gives_when_put_together(
    network: Callable[..., SFormer], cube: NDArray[np.uint16]
) -> None:
    ours = network(SMALL, classes=4, components=5)
    windows = cut(project(cube), np.argwhere(np.ones((23, 17), bool)), 10)
    whole = np.concatenate([logits(ours, part) for part in np.array_split(windows, 7)]).reshape(23, 17, 4)
    for side in (4, 9, 64):
        for tile in classified_tiles(lambda part: logits(ours, part), cube, project, 10, side=side):
            assert np.abs(tile.logits - whole[tile.rows, tile.columns]).max() <= 1e-3
        found = class_map(classified_tiles(lambda part: logits(ours, part), cube, project, 10, side=side), (23, 17))
        assert np.array_equal(found, whole.argmax(axis=2) + 1)


def test_windows_are_those_cut_from_the_whole_when_tiles_reflect_and_reach_over(cube: NDArray[np.uint16]) -> None:
    windows = cut(project(cube), np.argwhere(np.ones((23, 17), bool)), 10).reshape(23, 17, -1)
    for tile in classified_tiles(lambda part: part.reshape(len(part), -1), cube, project, 10, side=6):
        assert np.array_equal(tile.logits, windows[tile.rows, tile.columns])


def test_no_more_than_a_tile_and_its_margin_is_read_when_the_scene_is_large() -> None:
    cube, read = np.zeros((300, 200, 4), np.uint16), []

    def watched(spectra: NDArray[np.generic]) -> Floats:
        read.append(spectra.shape[:2])
        return np.asarray(spectra[..., :1].astype(np.float32))

    tiles = classified_tiles(lambda part: part[:, :, 0, 0], cube, watched, 10, side=32)
    assert sum(tile.logits[..., 0].size for tile in tiles) == 300 * 200
    assert max(max(shape) for shape in read) <= 32 + 9


def test_scene_is_refused_when_smaller_than_a_window() -> None:
    with pytest.raises(ValueError, match="smaller than a window"):
        next(classified_tiles(lambda part: part, np.zeros((9, 20, 3), np.float32), project, 10))
