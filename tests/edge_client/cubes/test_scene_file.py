import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.io

from edge_client.cubes import scene_file
from edge_client.cubes.scene_file import load_scene
from edge_client.cubes.settings import CubeSettings
from models.hsi.scene import Scene
from protos.errors import InvalidInput, StateError
from tests.edge_client.cubes.conftest import NAMES, Made
from tests.edge_client.cubes.files import write_envi, write_mat73, write_tiff


class Folder:
    """A site's files of a cube, and what it says of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, cube: np.ndarray, labels: np.ndarray, wanted: np.ndarray | None = None, /, **settings: Any) -> Scene:
        np.savez(self.path / "cube.npz", cube=cube)
        np.savez(self.path / "labels.npz", gt=labels)
        said = {"cube": "cube.npz", "labels": "labels.npz", "classes": NAMES, **settings}
        said |= {key: self.path / said[key] for key in ("cube", "labels") if said[key]}
        return load_scene(CubeSettings.model_validate(said), self.path / "kept.npy")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_scene_is_read_as_it_is(folder: Folder, made: Made) -> None:
    scene = folder.load(*made)
    assert (scene.cube == made[0]).all() and scene.cube.dtype == np.uint16 and (scene.labels == made[1]).all()
    assert scene.class_names == NAMES and scene.valid.all() and scene.wavelengths is None


def test_the_real_scenes_are_read_with_the_names_and_wavelengths_they_carry(scenes: Path, tmp_path: Path) -> None:
    samson = scenes / "samson.npz"
    scene = load_scene(
        CubeSettings(cube=samson, variable="cube", labels=samson, label_variable="gt"), tmp_path / "kept.npy"
    )
    assert scene.cube.shape == (95, 95, 156) and len(scene.class_names) == 3 and min(scene.counts.values()) > 100
    pavia = scenes / "pavia_u_lr.npz"
    names = tuple(f"class {number}" for number in range(1, 10))
    scene = load_scene(CubeSettings(cube=pavia, labels=pavia, classes=names, bands=((11, 60),)), tmp_path / "kept.npy")
    assert scene.cube.shape == (80, 50, 50) and sum(scene.counts.values()) == 621
    assert scene.wavelengths is not None and scene.wavelengths.shape == (50,)
    with pytest.raises(InvalidInput, match="does not name its classes 1 to 9"):
        load_scene(CubeSettings(cube=pavia, labels=pavia), tmp_path / "kept.npy")


@pytest.mark.parametrize("suffix", ["mat", "73.mat", "npz", "tif", "img", "hdr"])
def test_labels_of_every_raster_format_are_read(folder: Folder, made: Made, suffix: str) -> None:
    path, labels = folder.path / f"gt.{suffix}", made[1]
    if suffix == "mat":
        scipy.io.savemat(path, {"gt": labels.astype(np.float64)})
    elif suffix == "73.mat":
        write_mat73(path, gt=labels.astype(np.uint8))
    elif suffix == "npz":
        np.savez(path, gt=labels.astype(np.uint8))
    elif suffix == "tif":
        write_tiff(path, np.where(labels == 0, 255, labels).astype(np.uint8)[:, :, None], nodata=255)
    else:
        write_envi(path.with_suffix(".img"), labels[:, :, None], more="class names = {none, corn, soy, wood}\n")
    assert (
        folder.load(*made, labels=path.name, classes=() if suffix in ("img", "hdr") else NAMES).labels == labels
    ).all()


def test_a_transposed_cube_is_told(folder: Folder, made: Made) -> None:
    with pytest.raises(InvalidInput, match=r"does not fit .*: the cube is transposed, its bands come first"):
        folder.load(made[0].transpose(2, 0, 1), made[1])
    with pytest.raises(InvalidInput, match="its bands lie in the middle"):
        folder.load(made[0].transpose(0, 2, 1), made[1])
    with pytest.raises(InvalidInput, match="rows and columns of one of them are exchanged"):
        folder.load(made[0].transpose(1, 0, 2), made[1])


def test_labels_of_another_shape_are_refused(folder: Folder, made: Made) -> None:
    with pytest.raises(InvalidInput, match=r"labels have the shape \(23, 30\) and the cube \(24, 30, 8\)"):
        folder.load(made[0], made[1][1:])


def test_labels_outside_the_declared_classes_are_refused(folder: Folder, made: Made) -> None:
    with pytest.raises(InvalidInput, match="hold 3, and the 2 declared classes have the numbers 1 to 2"):
        folder.load(*made, classes=("corn", "soy"))
    with pytest.raises(InvalidInput, match="no whole numbers"):
        folder.load(made[0], made[1] + 0.5)
    with pytest.raises(InvalidInput, match="the label 70000"):
        folder.load(made[0], made[1].astype(np.int64) * 70_000 // 3)
    with pytest.raises(InvalidInput, match="labels no pixel"):
        folder.load(made[0], made[1] * 0)


def test_a_class_without_a_label_is_told(folder: Folder, made: Made, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scene = folder.load(made[0], np.where(made[1] == 2, 0, made[1]))
    assert scene.counts["soy"] == 0 and "is labelled soy; it cannot teach that" in caplog.text


def test_bands_with_nan_are_named(folder: Folder, made: Made) -> None:
    cube = made[0].astype(np.float32)
    cube[:, :, 2], cube[3, 4, 5] = np.nan, np.inf
    with pytest.raises(
        InvalidInput, match=r"the bands 3, 6 of .* hold NaN or infinity at up to 720 pixels; .*\[3, 6\]"
    ):
        folder.load(cube, made[1])
    assert folder.load(cube, made[1], bad_bands=(3, "6-6")).cube.shape == (24, 30, 6)


def test_bands_that_are_zero_everywhere_are_named(folder: Folder, made: Made) -> None:
    cube = made[0].copy()
    cube[:, :, [0, 7]] = 0
    with pytest.raises(InvalidInput, match=r"the bands 1, 8 of .* are 0 at every pixel; .*bad_bands = \[1, 8\]"):
        folder.load(cube, made[1])
    with pytest.raises(InvalidInput, match="holds no valid pixel"):
        folder.load(cube * 0, made[1])


@pytest.mark.parametrize(("gap", "no_data"), [(np.nan, None), (0.0, None), (-9999.0, -9999.0)])
def test_pixels_without_data_lose_their_labels(
    folder: Folder, made: Made, gap: float, no_data: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    cube = made[0].astype(np.float32)
    cube[:2] = gap
    with caplog.at_level(logging.WARNING):
        scene = folder.load(cube, made[1], no_data=no_data)
    assert not scene.valid[:2].any() and scene.valid[2:].all() and not scene.labels[:2].any()
    assert np.isfinite(scene.cube).all() and "labelled pixels" in caplog.text


def test_bands_are_chosen_by_number_and_range(folder: Folder, made: Made) -> None:
    scene = folder.load(*made, bands=("2-5", 8), bad_bands=(3,), wavelengths=tuple(range(400, 480, 10)))
    assert (scene.cube == made[0][:, :, [1, 3, 4, 7]]).all()
    assert scene.wavelengths is not None and scene.wavelengths.tolist() == [410, 430, 440, 470]
    with pytest.raises(InvalidInput, match=r"bad_bands names 9 to 9, and .* has the bands 1 to 8"):
        folder.load(*made, bad_bands=(9,))
    with pytest.raises(InvalidInput, match=r"no band of .* is left"):
        folder.load(*made, bad_bands=("1-8",))


def test_a_large_cube_is_kept_in_a_file(folder: Folder, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_file, "IN_MEMORY_BYTES", 100)
    scene = folder.load(*made)
    assert isinstance(scene.cube, np.memmap) and (scene.cube == made[0]).all()


def test_a_large_cube_is_refused_where_the_disk_has_no_room(
    folder: Folder, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_file, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(StateError, match=r"MiB of room, and .*cube\.npz needs"):
        folder.load(*made)


def test_names_that_a_file_says_itself_are_not_overruled(
    folder: Folder, made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    np.savez(folder.path / "named.npz", gt=made[1], class_names=NAMES)
    scene = folder.load(*made, labels="named.npz", classes=("wood", "corn", "soy"))
    assert scene.class_names == NAMES and "named.npz names its classes itself" in caplog.text


def test_a_class_without_a_name_is_refused(folder: Folder, made: Made) -> None:
    for name in (" ", "so\x1by", "corn"):
        with pytest.raises(InvalidInput, match="classes need names"):
            folder.load(*made, classes=("corn", name, "wood"))


def test_a_site_that_names_no_cube_or_no_labels_is_told(folder: Folder, made: Made) -> None:
    with pytest.raises(InvalidInput, match=r"set .data. cube"):
        folder.load(*made, cube=None)
    with pytest.raises(InvalidInput, match=r"set .data. labels"):
        folder.load(*made, labels=None)
    with pytest.raises(InvalidInput, match="there is no file of labels"):
        folder.load(*made, labels="none.tif")


def test_points_are_read_by_row_and_by_coordinate(folder: Folder, made: Made) -> None:
    (folder.path / "a.csv").write_text("row,column,class\n3,7,wood\n23,29,corn\n")
    scene = folder.load(*made, labels="a.csv", classes=())
    assert scene.class_names == ("corn", "wood") and sorted(map(tuple, np.argwhere(scene.labels))) == [(3, 7), (23, 29)]
    write_tiff(folder.path / "cube.tif", made[0])
    (folder.path / "b.csv").write_text("x,y,class\n500150,4399930,wood\n")
    scene = folder.load(*made, cube="cube.tif", labels="b.csv")
    assert scene.labels[3, 7] == 3 and scene.counts == {"corn": 0, "soy": 0, "wood": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,column,class\n3,70,wood\n", "line 2: row 3, column 70 lies outside"),
        ("row,column,class\n3,7,oats\n", "names the class 'oats'; site.toml declares corn, soy, wood"),
        ("row,column,class\n3,7,wood\n3,7,corn\n", "line 3: 1 pixels are both corn and wood"),
        ("row,column,class\n3,x,wood\n", "its columns are row, column, class or x, y, class"),
        ("row,column,class\n3,7,\n", 'entry 1 has no name in "class"'),
        ("row,column,class\n3,7,\x00\n", 'entry 1 has no name in "class"'),
        ("row,column,class\n-1,7,wood\n", "line 2: row -1, column 7 lies outside"),
        ("row,column,class\n", "has no labels in it"),
        ("a,b\n1,2\n", 'no name in "class"'),
        ("x,y,class\n1,2,wood\n", "no georeference; give row and column"),
    ],
)
def test_faulty_points_are_told_by_line(folder: Folder, made: Made, text: str, message: str) -> None:
    (folder.path / "a.csv").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        folder.load(*made, labels="a.csv")


def geojson(path: Path, *shapes: tuple[str, list[list[float]]], crs: str | None = None) -> str:
    features = [
        {"type": "Feature", "properties": {"class": name}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name, ring in shapes
    ]
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    (path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features, **named}))
    return "a.geojson"


def box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def test_polygons_label_the_pixels_whose_centres_they_hold(folder: Folder, made: Made) -> None:
    path = geojson(folder.path, ("wood", box(2, 3, 5, 7)), ("corn", box(10.6, 0, 12.4, 1)))
    scene = folder.load(*made, labels=path)
    expected = np.zeros((24, 30), np.int16)
    expected[3:7, 2:5], expected[0, 11] = 3, 1
    assert (scene.labels == expected).all()


def test_polygons_meet_a_georeferenced_cube_in_other_coordinates(folder: Folder, made: Made) -> None:
    write_tiff(folder.path / "cube.tif", made[0])
    utm = geojson(folder.path, ("soy", box(500_040, 4_399_940, 500_100, 4_399_860)), crs="urn:ogc:def:crs:EPSG::32616")
    expected = folder.load(*made, cube="cube.tif", labels=utm).labels
    assert (np.argwhere(expected).min(axis=0) == [3, 2]).all() and (expected != 0).sum() == 12
    import rasterio.warp

    lon, lat = rasterio.warp.transform(
        "EPSG:32616", "EPSG:4326", [500_040, 500_100, 500_100, 500_040], [4_399_940, 4_399_940, 4_399_860, 4_399_860]
    )
    ring = [[x, y] for x, y in zip(lon, lat, strict=True)]
    assert (
        folder.load(*made, cube="cube.tif", labels=geojson(folder.path, ("soy", [*ring, ring[0]]))).labels == expected
    ).all()


def test_faulty_polygons_are_told(folder: Folder, made: Made) -> None:
    with pytest.raises(InvalidInput, match="4 pixels are both wood and corn"):
        folder.load(*made, labels=geojson(folder.path, ("wood", box(2, 3, 5, 7)), ("corn", box(1, 2, 4, 5))))
    with pytest.raises(InvalidInput, match="none of the 1 features"):
        folder.load(*made, labels=geojson(folder.path, ("wood", box(200, 3, 205, 7))))
    with pytest.raises(InvalidInput, match="cannot be drawn"):
        folder.load(*made, labels=geojson(folder.path, ("wood", [[0, 1]])))
    odd = '{"features": [{"geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": [1]}]}'
    for text in ("{", "[]", '{"features": []}', '{"features": [{"geometry": null}]}', odd):
        (folder.path / "b.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"b\.json"):
            folder.load(*made, labels="b.json")
