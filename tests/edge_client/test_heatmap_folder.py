"""Where heat maps are written."""

from pathlib import Path

import pytest
from PIL import Image

from edge_client.heatmap_folder import HeatmapFolder
from edge_client.images import read_image
from protos.errors import InvalidInput

PICTURE = Image.new("RGB", (4, 4))


def test_pictures_have_files_of_their_own_when_images_share_a_name(tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    folder = HeatmapFolder(tmp_path / "deep" / "maps", source)
    saved = [folder.save(PICTURE, source / name) for name in ("a/0.png", "b/0.jpg", "b/0-2.jpg")]
    assert len({path.name for path in saved}) == 3
    assert all(read_image(path).shape == (4, 4, 3) for path in saved)


@pytest.mark.parametrize("inside", [".", "maps"])
def test_folder_is_refused_when_it_lies_among_the_images(tmp_path: Path, inside: str) -> None:
    with pytest.raises(InvalidInput, match="would mix with the images"):
        HeatmapFolder(tmp_path / inside, tmp_path)


def test_image_is_not_overwritten_when_its_own_folder_is_named(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "0.png")
    with pytest.raises(InvalidInput, match="would mix with the images"):
        HeatmapFolder(tmp_path, tmp_path / "0.png")
    assert HeatmapFolder(tmp_path / "maps", tmp_path / "0.png").save(PICTURE, tmp_path / "0.png").exists()


def test_folder_is_refused_when_it_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "images").mkdir()
    with pytest.raises(InvalidInput, match="file cannot be made: File exists"):
        HeatmapFolder(tmp_path / "file", tmp_path / "images")
