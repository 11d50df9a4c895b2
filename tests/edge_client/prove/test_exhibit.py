"""Real images, a golden one, and defects that are made of normals."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge_client.compiled.runner import RawScores
from edge_client.datasets import labelled_images, training_images
from edge_client.image_files import ImageFiles
from edge_client.prove.exhibit import ask, golden_image, made_defects
from edge_client.prove.site_images import site_exhibit


def test_golden_image_is_the_same_everywhere() -> None:
    digest = hashlib.sha256(golden_image(96).tobytes()).hexdigest()
    assert digest == "edf9148442e53ff2f6e198d0cf17d54bd69e0df09196ec1ccc30477e6f419511"


def test_made_defects_differ_in_one_piece_and_are_the_same_again(cells: Path) -> None:
    images = ImageFiles(training_images(cells).images[:6])
    made = made_defects(images, seed=0)
    for before, after in zip(images, made, strict=True):
        rows, columns, _ = np.nonzero(before != after)
        assert 0.1 * 300 <= np.ptp(rows) + 1 <= 0.26 * 300
        assert 0.1 * 300 <= np.ptp(columns) + 1 <= 0.26 * 300
    assert all((one == two).all() for one, two in zip(made, made_defects(images, seed=0), strict=True))


def test_labelled_images_of_a_site_are_taken_before_made_ones(cells: Path) -> None:
    normal = training_images(cells).images
    found = site_exhibit(normal[:10], normal[10:], labelled_images(cells), 64)
    kinds = {role: found.roles.count(role) for role in set(found.roles)}
    assert kinds == {"held-out normal": 6, "training normal": 10, "test normal": 6, "test defect": 6}
    assert len(found) == len(found.roles) == 28


def test_defects_are_made_when_there_are_no_labelled_ones(cells: Path) -> None:
    normal = training_images(cells).images
    found = site_exhibit(normal[:10], normal[10:], (), 64)
    assert found.roles[-6:] == ("made defect",) * 6
    assert found.read(range(len(found))).shape == (22, 64, 64, 3)


def test_every_image_is_asked_once_and_in_order(cells: Path) -> None:
    normal = training_images(cells).images
    exhibit = site_exhibit(normal[:10], normal[10:], (), 64)
    answers = ask(
        lambda pixels: RawScores(pixels.mean((1, 2, 3), np.float32), pixels[..., 0].astype(np.float32)), exhibit
    )
    assert answers.scores == pytest.approx(exhibit.read(range(len(exhibit))).mean((1, 2, 3)), rel=1e-5)
    assert answers.maps.shape == (22, 64, 64)
    assert len(set(answers.digests)) == 22
    assert answers.golden.image.shape == (1,)


def test_pixels_of_a_role_that_is_not_there_are_refused(cells: Path) -> None:
    exhibit = site_exhibit(training_images(cells).images, (), (), 64)
    with pytest.raises(ValueError, match="no test defect image"):
        exhibit.pixels("test defect", 3)
