"""What a folder's layout means."""

import os
from pathlib import Path

import pytest
from PIL import Image

from edge_client.datasets import labelled_images, training_images
from protos.errors import InvalidInput


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 6)).save(path)
    return path


def test_training_takes_good_alone_when_the_layout_is_mvtec(tmp_path: Path) -> None:
    good = save(tmp_path / "train" / "good" / "0.png")
    save(tmp_path / "train" / "bad" / "0.png")
    save(tmp_path / "test" / "good" / "0.png")
    assert training_images(tmp_path).images == (good,)


def test_training_takes_every_product_when_there_are_several(tmp_path: Path) -> None:
    screw = save(tmp_path / "screw" / "train" / "good" / "0.png")
    tile = save(tmp_path / "tile" / "train" / "good" / "0.png")
    save(tmp_path / "papers" / "0.png")
    assert training_images(tmp_path).images == (screw, tile)


def test_training_takes_no_subfolder_when_the_folder_is_flat(tmp_path: Path) -> None:
    flat = save(tmp_path / "0.png")
    save(tmp_path / "bad" / "0.png")
    assert training_images(tmp_path).images == (flat,)


def test_folder_of_texts_is_described_when_there_is_no_image(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text("x")
    with pytest.raises(InvalidInput, match=r"no images in .*: found 12 files, none an image; give a folder"):
        training_images(tmp_path)


def test_empty_folder_and_test_without_train_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="found no files"):
        training_images(tmp_path)
    save(tmp_path / "test" / "crack" / "0.png")
    with pytest.raises(InvalidInput, match="found no files"):
        training_images(tmp_path)


def test_test_images_carry_product_defect_and_mask(tmp_path: Path) -> None:
    crack = save(tmp_path / "tile" / "test" / "crack" / "0.jpg")
    other = save(tmp_path / "tile" / "test" / "crack" / "1.jpg")
    mask = save(tmp_path / "tile" / "ground_truth" / "crack" / "0_mask.png")
    good = save(tmp_path / "tile" / "test" / "good" / "0.jpg")
    listed = [(image.path, image.product, image.defect, image.mask) for image in labelled_images(tmp_path)]
    assert listed == [
        (crack, "tile", "crack", mask),
        (other, "tile", "crack", None),
        (good, "tile", "good", None),
    ]


def test_product_is_empty_when_the_root_is_the_product(tmp_path: Path) -> None:
    save(tmp_path / "test" / "good" / "0.jpg")
    assert [image.product for image in labelled_images(tmp_path)] == [""]


def test_flat_folder_has_no_test_images(tmp_path: Path) -> None:
    save(tmp_path / "0.png")
    with pytest.raises(InvalidInput, match="no test images in"):
        labelled_images(tmp_path)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere cannot be listed"):
        training_images(tmp_path / "nowhere")


def test_real_mvtec_layout_is_read_whole() -> None:
    shared = Path(os.environ.get("EDGEFED_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    tiles = shared / "images" / "magnetic_tile"
    if not tiles.is_dir():
        pytest.skip("magnetic_tile is not there; EDGEFED_TEST_DATA names a folder that holds images/magnetic_tile")
    listed = labelled_images(tiles)
    assert len(training_images(tiles).images) == 320
    assert sum(image.defect == "good" for image in listed) == 100
    assert sum(image.mask is not None for image in listed) == 269
