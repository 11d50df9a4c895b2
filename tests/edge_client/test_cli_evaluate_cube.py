"""`client evaluate CUBE`: a model on test pixels, and whether those were held apart from training."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.hsi.splits import disjoint_split
from tests.edge_client.cubes.files import write_envi

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]
CLASSES = ("corn", "soy [red]", "wood")
JOB = """
name = "crops"
method = "wsa"
[rounds]
count = 3
[wsa]
network = "spectral-mlp"
classes = ["wood", "corn", "Soy [red]"]
bands.components = 4
training = { steps = 40, learning_rate = 0.01 }
"""


@pytest.fixture
def labels() -> np.ndarray:
    return np.kron(np.random.default_rng(1).integers(0, 4, (6, 7)), np.ones((10, 10))).astype(np.int16)


@pytest.fixture
def site(tmp_path: Path, labels: np.ndarray, edgefed: Edgefed) -> Path:
    """A site that has trained on one side of a disjoint split; the other lies in test.npz."""
    rng = np.random.default_rng(0)
    cube = (rng.integers(1000, 60_000, (4, 8))[labels] + rng.integers(0, 900, (60, 70, 8))).astype(np.uint16)
    write_envi(tmp_path / "scene.img", cube)
    np.savez(tmp_path / "same.npz", cube=cube)
    split = disjoint_split(labels, 1, seed=0)
    for name, pixels in (("train", split.train), ("test", split.test)):
        side = np.zeros_like(labels)
        side[tuple(pixels.T)] = labels[tuple(pixels.T)]
        np.savez(tmp_path / f"{name}.npz", gt=side, class_names=CLASSES)
    (tmp_path / "site.toml").write_text(
        '[data]\ncube = "scene.hdr"\nlabels = "train.npz"\n[egress]\nallow = []\nmax_bytes = 1\n'
    )
    (tmp_path / "job.toml").write_text(JOB)
    done = edgefed("train", tmp_path / "job.toml", "--state", tmp_path, "--out", tmp_path / "model", "--split", "none")
    assert done.returncode == 0, done.stderr
    return tmp_path


def evaluated(edgefed: Edgefed, site: Path, cube: str, labels: str, *more: object) -> tuple[dict[str, Any], str]:
    done = edgefed(
        "evaluate", site / cube, "--labels", site / labels, "--state", site, "--bundle", site / "model", "--json", *more
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document, done.stderr


def test_a_model_is_measured_on_pixels_that_it_never_saw(site: Path, labels: np.ndarray, edgefed: Edgefed) -> None:
    document, said = evaluated(edgefed, site, "scene.hdr", "test.npz", "--maps", site / "maps")
    assert document["sharing_windows"] == 0 and "overlap" not in said
    figures = document["accuracy"]
    assert figures["oa"] > 0.95 and figures["kappa"] > 0.9 and figures["aa"] > 0.9
    assert sum(figures["pixels"].values()) == document["test_pixels"] > 500
    assert set(figures["per_class"]) == {"wood", "corn", "Soy [red]"} and sorted(document["maps"]) == [
        "envi", "geotiff", "png",
    ]  # fmt: skip


def test_test_pixels_that_the_site_trains_on_are_told(site: Path, edgefed: Edgefed) -> None:
    for cube in ("scene.img", "same.npz"):  # a copy in another format is the same scene
        document, said = evaluated(edgefed, site, cube, "train.npz")
        assert document["sharing_windows"] == document["test_pixels"]
        assert f"{document['test_pixels']} of {document['test_pixels']} test pixels" in said and "memory" in said


def test_it_is_not_known_what_was_trained_on_where_the_training_cube_is_gone(
    site: Path, edgefed: Edgefed, caplog: pytest.LogCaptureFixture
) -> None:
    (site / "scene.img").unlink()
    document, _ = evaluated(edgefed, site, "same.npz", "test.npz")
    assert document["sharing_windows"] is None and "is not known" in caplog.text


def test_a_table_is_printed_without_json_and_names_are_no_markup(site: Path, edgefed: Edgefed) -> None:
    done = edgefed(
        "evaluate", site / "scene.hdr", "--labels", site / "test.npz", "--state", site, "--bundle", site / "model"
    )
    assert done.returncode == 0 and "Soy [red]" in done.stdout and "overall accuracy" in done.stdout


def test_test_pixels_without_data_are_left_out(site: Path, edgefed: Edgefed, caplog: pytest.LogCaptureFixture) -> None:
    with np.load(site / "same.npz") as file:
        cube = file["cube"]
    cube[:30] = 0
    np.savez(site / "half.npz", cube=cube)
    whole = evaluated(edgefed, site, "same.npz", "test.npz")[0]["test_pixels"]
    assert evaluated(edgefed, site, "half.npz", "test.npz")[0]["test_pixels"] < whole
    assert "have no data and are left out" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scene.hdr",), "say which pixels of scene.hdr to test on, with --labels FILE"),
        (("--labels", "test.npz"), "--labels and --maps are for a cube"),
        (("scene.hdr", "--labels", "none.npz"), "there is no file of labels none.npz"),
        (("none.hdr", "--labels", "test.npz"), "there is no cube none.hdr"),
        (("scene.hdr", "--labels", "foreign.npz"), "labels of oats, which is no class of the job"),
        (("scene.hdr", "--labels", "nameless.npz"), "name them with classes = [...] in site.toml"),
        (("scene.hdr", "--labels", "small.npz"), "the labels have the shape (3, 3) and the cube (60, 70, 8)"),
    ],
)
def test_faults_of_the_user_are_told(
    site: Path,
    labels: np.ndarray,
    edgefed: Edgefed,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    np.savez(site / "foreign.npz", gt=labels, class_names=("corn", "oats", "wood"))
    np.savez(site / "nameless.npz", gt=labels)
    np.savez(site / "small.npz", gt=np.ones((3, 3), np.int16), class_names=CLASSES)
    monkeypatch.chdir(site)
    done = edgefed("evaluate", *arguments, "--state", site, "--bundle", site / "model")
    assert done.returncode == 2 and message in " ".join(done.stderr.split())


def test_a_model_that_judges_images_evaluates_no_cube(site: Path, judging_site: Path, edgefed: Edgefed) -> None:
    done = edgefed("evaluate", site / "scene.hdr", "--labels", site / "test.npz", "--state", judging_site)
    assert done.returncode == 2 and "the model judges images" in done.stderr
