import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_client.cubes.colours import colours
from edge_client.cubes.cube_file import Georeference
from edge_client.cubes.envi import open_envi_cube, read_envi_plane
from edge_client.cubes.envi_header import read_header
from edge_client.cubes.geotiff import open_tiff_cube, read_tiff_plane
from edge_client.cubes.map_picture import draw_map
from edge_client.cubes.map_raster import write_envi, write_geotiff
from edge_client.cubes.opening import open_cube
from protos.errors import InvalidInput
from tests.edge_client.cubes.conftest import Made
from tests.edge_client.cubes.files import write_envi as write_envi_cube
from tests.edge_client.cubes.files import write_tiff

NAMES = ("corn", "soy & rye", "wood")


@pytest.fixture
def classes(made: Made) -> np.ndarray:
    return made[1]


@pytest.fixture
def place(tmp_path: Path, made: Made) -> Georeference:
    found = open_cube(write_tiff(tmp_path / "cube.tif", made[0])).georeference
    assert found is not None
    return found


def test_a_geotiff_keeps_place_names_and_colours(tmp_path: Path, classes: np.ndarray, place: Georeference) -> None:
    write_geotiff(tmp_path / "map.tif", classes, NAMES, place)
    plane, names = read_tiff_plane(tmp_path / "map.tif")
    assert (plane == classes).all() and names == NAMES
    assert open_tiff_cube(tmp_path / "map.tif").georeference == place
    import rasterio

    with rasterio.open(tmp_path / "map.tif") as raster:
        assert raster.colormap(1)[2] == (*colours(3)[2].tolist(), 255) and raster.nodata == 0
    listed = ElementTree.parse(tmp_path / "map.tif.aux.xml").iter("Category")
    assert [item.text for item in listed] == ["no data", *NAMES]


def test_an_envi_map_keeps_place_names_and_colours(tmp_path: Path, classes: np.ndarray, place: Georeference) -> None:
    write_envi(tmp_path / "map.img", classes, NAMES, place)
    plane, names = read_envi_plane(tmp_path / "map.hdr")
    assert (plane == classes).all() and names == NAMES
    found = open_envi_cube(tmp_path / "map.img").georeference
    assert found is not None and found.transform == place.transform and "UTM" in found.crs
    header = read_header(tmp_path / "map.hdr")
    assert header.entries["file type"] == "ENVI Classification" and header.entries["classes"] == "4"
    assert "description" not in header.entries and str(tmp_path) not in (tmp_path / "map.hdr").read_text()
    assert header.listed("class lookup") == tuple(str(part) for part in colours(3).ravel())
    assert sorted(path.name for path in tmp_path.glob("map*")) == ["map.hdr", "map.img"]


def test_the_place_of_an_envi_cube_reaches_a_geotiff(tmp_path: Path, made: Made) -> None:
    from tests.edge_client.cubes.files import MAP_INFO

    place = open_cube(write_envi_cube(tmp_path / "cube.img", made[0], more=MAP_INFO)).georeference
    write_geotiff(tmp_path / "map.tif", made[1], NAMES, place)
    found = open_tiff_cube(tmp_path / "map.tif").georeference
    assert found is not None and found.transform == (20, 0, 500_000, 0, -20, 4_400_000) and "UTM" in found.crs


def test_maps_are_written_without_a_place(tmp_path: Path, classes: np.ndarray) -> None:
    write_geotiff(tmp_path / "map.tif", classes, NAMES, None)
    write_envi(tmp_path / "map.img", classes, NAMES, None)
    assert (read_tiff_plane(tmp_path / "map.tif")[0] == read_envi_plane(tmp_path / "map.img")[0]).all()
    assert open_tiff_cube(tmp_path / "map.tif").georeference is None


def test_a_class_name_that_an_envi_header_cannot_hold_loses_its_commas(tmp_path: Path, classes: np.ndarray) -> None:
    write_envi(tmp_path / "map.img", classes, ("corn, no {till}", "soÿ", "w" * 200), None)
    assert read_envi_plane(tmp_path / "map.hdr")[1] == ("corn no till", "soÿ", "w" * 200)


def test_what_cannot_be_written_is_told(tmp_path: Path, classes: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="holds 255 classes, not 300"):
        write_geotiff(tmp_path / "map.tif", classes, tuple(map(str, range(300))), None)
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_geotiff(tmp_path / "none" / "map.tif", classes, NAMES, None)


def test_the_picture_shows_each_pixel_in_its_colour_beside_a_legend(tmp_path: Path, classes: np.ndarray) -> None:
    picture = draw_map(classes, NAMES)
    assert picture.width > 512 and picture.height >= 409
    pixels = np.asarray(picture)
    scale = 512 / classes.shape[1]
    for row, column in ((0, 0), (5, 12), (20, 27)):
        shown = pixels[int((row + 0.5) * scale), int((column + 0.5) * scale)]
        assert (shown == colours(3)[classes[row, column]]).all()
    legend = pixels[:, 512:].reshape(-1, 3)
    for colour in colours(3):
        assert (legend == colour).all(axis=1).sum() > 200
    picture.save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as again:
        assert again.size == picture.size


def test_a_long_name_is_shortened_in_the_legend_and_whole_in_the_files(tmp_path: Path, classes: np.ndarray) -> None:
    names = ("soÿ <b>[red]</b> & \x1b", "s", "w" * 200)
    assert draw_map(classes, names).width < 512 + 800
    write_geotiff(tmp_path / "map.tif", classes, names, None)
    listed = [item.text for item in ElementTree.parse(tmp_path / "map.tif.aux.xml").iter("Category")]
    assert listed == ["no data", "soÿ <b>[red]</b> &", "s", "w" * 200]


def test_many_classes_have_colours_of_their_own() -> None:
    assert len(np.unique(colours(60), axis=0)) == 61
