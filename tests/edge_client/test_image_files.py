"""Searching folders: what is taken, what is passed over, and that one bad file does not stop the rest."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_client.image_files import ImageFiles, find_images, fingerprint, readable_images
from protos.errors import InvalidInput


def save(path: Path, shade: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 6), shade).save(path)
    return path


def quiet(stage: str, step: int, steps: int) -> None:
    pass


def test_everything_else_is_counted_when_images_are_sought(tmp_path: Path) -> None:
    save(tmp_path / "b.PNG")
    save(tmp_path / "deep" / "a.jpg")
    save(tmp_path / ".thumbs" / "c.png")
    save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    found = find_images(tmp_path, within=tmp_path)
    assert found.images == (tmp_path / "b.PNG", tmp_path / "deep" / "a.jpg")
    assert found.skipped == {"hidden": 1, "not an image": 1}
    assert str(found) == "2 images (skipped: 1 hidden, 1 not an image)"


def test_links_are_followed_inside_the_root_alone(tmp_path: Path) -> None:
    outside = save(tmp_path / "outside" / "secret.png")
    inside = save(tmp_path / "root" / "good" / "a.png")
    good = inside.parent
    (good / "inside.png").symlink_to(inside)
    (good / "out.png").symlink_to(outside)
    (good / "circle").symlink_to(tmp_path / "root")
    (good / "loop.png").symlink_to(good / "loop.png")
    (good / "gone.png").symlink_to(good / "nothing.png")
    found = find_images(good, within=tmp_path / "root")
    assert found.images == (inside, good / "inside.png")
    assert found.skipped == {"a link out of the folder": 1, "not an image": 2}


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere cannot be listed: No such file"):
        find_images(tmp_path / "nowhere", within=tmp_path)


def test_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a\.png cannot be listed: Not a directory"):
        find_images(save(tmp_path / "a.png"), within=tmp_path)


def test_one_bad_image_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [save(tmp_path / f"{name}.png") for name in "abc"]
    paths[1].write_bytes(b"broken")
    steps = []
    with caplog.at_level(logging.WARNING):
        good = readable_images(paths, lambda stage, step, total: steps.append((stage, step, total)))
    assert good == (paths[0], paths[2])
    assert "b.png is not a" in caplog.text
    assert "1 of 3 images cannot be read" in caplog.text
    assert steps == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3)]


def test_work_ends_when_no_image_can_be_read(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{name}.png") for name in "ab"]
    for path in paths:
        path.write_bytes(b"broken")
    with pytest.raises(InvalidInput, match=r"none of the 2 images can be read; the last one: .*b\.png"):
        readable_images(paths, quiet)


def test_images_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    files = ImageFiles([save(tmp_path / f"{shade}.png", shade) for shade in (10, 20, 30)])
    (tmp_path / "20.png").unlink()
    assert len(files) == 3
    assert np.array_equal(files[-1], np.full((6, 8, 3), 30, np.uint8))
    assert len(files[1:]) == 2
    with pytest.raises(InvalidInput, match=r"20\.png cannot be read"):
        files[1]


def test_fingerprint_changes_when_a_file_does(tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.png"), save(tmp_path / "b.png")]
    before = fingerprint(paths)
    assert fingerprint(paths) == before
    assert fingerprint(paths[:1]) != before
    save(paths[1], shade=3)
    assert fingerprint(paths) != before
