import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edge_client.cubes import view as view_module
from edge_client.cubes.classify import Predict, classify
from edge_client.cubes.opening import open_cube
from edge_client.cubes.settings import CubeSettings
from edge_client.cubes.view import CubeView, view
from models.hsi.moments import band_sums
from models.hsi.projection import Projection, fit
from models.hsi.strips import windows
from models.hsi.windows import cut
from protos.errors import InvalidInput
from tests.edge_client.cubes.conftest import Made
from tests.edge_client.cubes.files import write_envi, write_tiff

WINDOW = 6


def nothing(stage: str, step: int, steps: int) -> None:
    pass


def by_weights(components: int) -> Predict:
    """A model that looks at every value of a window."""
    weights = np.random.default_rng(1).normal(size=(3, components, WINDOW, WINDOW)).astype(np.float32)

    def predict(part: np.ndarray) -> np.ndarray:
        return np.einsum("rwcij,kcij->rwk", windows(part, WINDOW), weights).argmax(axis=2) + 1

    return predict


def opened(path: Path) -> CubeView:
    return view(open_cube(path), CubeSettings())


@pytest.fixture
def projection(made: Made) -> Projection:
    return fit(band_sums(made[0].reshape(-1, 8)), 4)


@pytest.mark.parametrize("strip", [1, 30 * 8 * 8 * 5, 1 << 30])
@pytest.mark.parametrize("kind", ["img", "tif"])
def test_a_map_in_strips_is_that_of_the_whole(
    tmp_path: Path, made: Made, projection: Projection, kind: str, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = made[0].copy()
    cube[10:13, 4:9] = 0
    path = tmp_path / f"a.{kind}"
    write_envi(path, cube, "bil") if kind == "img" else write_tiff(path, cube)
    monkeypatch.setattr(view_module, "_STRIP_BYTES", strip)
    found = classify(opened(path), projection, WINDOW, by_weights(4), nothing)
    components = projection.apply(cube, cube.any(axis=2))
    whole = cut(components, np.argwhere(np.ones((24, 30), bool)), WINDOW).reshape(24, 30, 4, WINDOW, WINDOW)
    weights = np.random.default_rng(1).normal(size=(3, 4, WINDOW, WINDOW)).astype(np.float32)
    expected = np.einsum("rwcij,kcij->rwk", whole, weights).argmax(axis=2) + 1
    assert (found == np.where(cube.any(axis=2), expected, 0)).all() and (found == 0).sum() == 15


def test_a_scene_smaller_than_a_window_is_refused(tmp_path: Path, made: Made, projection: Projection) -> None:
    write_envi(tmp_path / "a.img", made[0][:5])
    with pytest.raises(InvalidInput, match=r"a\.img cannot be classified: a scene of 5 x 30 pixels is smaller"):
        classify(opened(tmp_path / "a.img"), projection, WINDOW, by_weights(4), nothing)


def test_a_cube_of_other_bands_or_transposed_is_refused(tmp_path: Path, made: Made, projection: Projection) -> None:
    write_envi(tmp_path / "a.img", made[0][:, :, :7])
    with pytest.raises(InvalidInput, match="fitted on 8 bands, and the cube has 7"):
        classify(opened(tmp_path / "a.img"), projection, WINDOW, by_weights(4), nothing)
    np.save(tmp_path / "b.npy", made[0].transpose(0, 2, 1))
    with pytest.raises(InvalidInput, match=r"the cube has 30; is the cube transposed\?"):
        classify(opened(tmp_path / "b.npy"), projection, WINDOW, by_weights(4), nothing)


def test_a_band_that_is_zero_or_nan_is_told(tmp_path: Path, made: Made, projection: Projection) -> None:
    cube = made[0].astype(np.float32)
    cube[:, :, 3] = 0
    np.save(tmp_path / "a.npy", cube)
    with pytest.raises(InvalidInput, match=r"the bands 4 of .* are 0 at every pixel"):
        classify(opened(tmp_path / "a.npy"), projection, WINDOW, by_weights(4), nothing)
    cube[20, 3, 3] = np.nan
    np.save(tmp_path / "a.npy", cube)
    with pytest.raises(InvalidInput, match=r"the bands 4 of .* hold NaN"):
        classify(opened(tmp_path / "a.npy"), projection, WINDOW, by_weights(4), nothing)


def test_memory_does_not_grow_with_the_scene(tmp_path: Path, made: Made, projection: Projection) -> None:
    write_envi(tmp_path / "a.img", np.tile(made[0], (2, 34, 1)), "bil")  # 48 x 1020 pixels
    image = tmp_path / "long.img"
    with image.open("wb") as file:
        for _ in range(60):
            file.write((tmp_path / "a.img").read_bytes())
    header = (tmp_path / "a.hdr").read_text().replace("lines   = 48", "lines   = 2880")
    image.with_suffix(".hdr").write_text(header)
    cube = opened(image)

    def cheap(part: np.ndarray) -> np.ndarray:
        return (part[WINDOW // 2 :, WINDOW // 2 :, 0][: part.shape[0] - WINDOW + 1, :1020] > 0).astype(np.int16) + 1

    tracemalloc.start()
    classes = classify(cube, projection, WINDOW, cheap, nothing)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    scene = 2880 * 1020 * 8 * 4
    assert classes.shape == (2880, 1020) and peak < 1.2 * scene, f"{peak / 1e6:.0f} MB of {scene / 1e6:.0f}"
