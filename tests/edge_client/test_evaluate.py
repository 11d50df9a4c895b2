"""Figures over judged images, by hand; and pixel truth from real files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_client.datasets import LabelledImage, labelled_images
from edge_client.evaluate import Judged, by_defect, by_product, judge_all, quality
from edge_client.inference import InstalledModel, load_model
from protos.errors import InvalidInput


@pytest.fixture(scope="module")
def model(judging_site: Path) -> InstalledModel:
    return load_model(judging_site)


def judged(score: float, defect: str = "good", product: str = "") -> Judged:
    return Judged(LabelledImage(Path("x.png"), product, defect, None), score, None, None)


GOOD, BAD = [judged(1), judged(2), judged(3), judged(4)], [judged(2.5, "crack"), judged(9, "hole")]


def test_figures_are_those_computed_by_hand() -> None:
    found = quality([*GOOD, *BAD], 3.0)
    assert found.images == 6
    assert found.image_auroc == pytest.approx(6 / 8)  # 2.5 is above two of four normals, 9 above all
    assert found.false_reject_rate == 1 / 4
    assert found.miss_rate == 1 / 2
    assert found.pixel_auroc is None


def test_figures_are_absent_when_they_are_not_defined() -> None:
    assert quality(GOOD, 3.0).image_auroc is None
    assert quality(GOOD, 3.0).miss_rate is None
    assert quality(BAD, 3.0).false_reject_rate is None
    assert quality([*GOOD, *BAD], None).miss_rate is None


def test_each_defect_is_held_against_all_normals() -> None:
    found = by_defect([*GOOD, *BAD], 3.0)
    assert {kind: (one.images, one.miss_rate) for kind, one in found.items()} == {"crack": (5, 1.0), "hole": (5, 0.0)}


def test_products_are_told_apart_when_there_are_some() -> None:
    found = by_product([judged(1, "good", "a"), judged(2, "hole", "a"), judged(3, "good", "b")], 3.0)
    assert {name: (one.images, one.image_auroc) for name, one in found.items()} == {"a": (2, 1.0), "b": (1, None)}
    assert by_product(GOOD, 3.0) == {}


def test_pixel_auroc_follows_the_masks(model: InstalledModel, tmp_path: Path, cells: Path) -> None:
    source = next((cells / "test" / "dark").iterdir())
    field = model.judge(source).map
    hot = np.asarray(Image.fromarray(field).resize((300, 300), Image.Resampling.BILINEAR)) > np.quantile(field, 0.9)
    results = []
    for name, mask in (("right", hot), ("wrong", ~hot)):
        for folder in ("test/dark", "ground_truth/dark"):
            (tmp_path / name / folder).mkdir(parents=True)
        (tmp_path / name / "test/dark/0.png").write_bytes(source.read_bytes())
        Image.fromarray(mask).save(tmp_path / name / "ground_truth/dark/0_mask.png")
        found = quality(judge_all(model, labelled_images(tmp_path / name), lambda step: None), None)
        results.append(found.pixel_auroc or 0)
    assert results[0] > 0.95
    assert results[1] < 0.3


def test_bad_image_is_left_out_and_all_bad_are_an_error(model: InstalledModel, cells: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    listed = [LabelledImage(bad, "", "good", None), labelled_images(cells)[0]]
    assert len(judge_all(model, listed, lambda step: None)) == 1
    with pytest.raises(InvalidInput, match="none of the 1 test images can be read"):
        judge_all(model, listed[:1], lambda step: None)


def test_real_defects_score_above_normals(model: InstalledModel, cells: Path) -> None:
    found = quality(judge_all(model, labelled_images(cells), lambda step: None), None)
    assert found.images == 12
    assert (found.image_auroc or 0) > 0.9
