"""`client train` and `client infer` on a cube: from site.toml and job.toml to a map in files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_client.cubes.envi import read_envi_plane
from edge_client.cubes.geotiff import open_tiff_cube, read_tiff_plane
from tests.edge_client.cubes.files import MAP_INFO, write_envi, write_tiff

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]
CLASSES = ("corn", "soy", "wood")
WAVELENGTHS = tuple(range(400, 480, 10))
JOB = """
name = "crops"
method = "wsa"
[rounds]
count = 6
[wsa]
network = "spectral-mlp"
classes = ["wood", "corn", "soy"]
bands.components = 4
training.epochs = 10
training.learning_rate = 0.01
"""


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fields of three classes in patches of 10 x 10 pixels; the same spectra in every scene."""
    spectra = np.random.default_rng(0).integers(1000, 60_000, (4, 8))
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 4, (6, 7)), np.ones((10, 10))).astype(np.int16)
    return (spectra[labels] + rng.integers(0, 900, (60, 70, 8))).astype(np.uint16), labels


@pytest.fixture
def site(tmp_path: Path) -> Path:
    cube, labels = scene(1)
    np.savez(tmp_path / "scene.npz", cube=cube, gt=labels, class_names=np.array(CLASSES), wavelengths=WAVELENGTHS)
    (tmp_path / "site.toml").write_text(
        '[data]\ncube = "scene.npz"\nlabels = "scene.npz"\n[egress]\nallow = []\nmax_bytes = 1\n'
    )
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path


def run(edgefed: Edgefed, *arguments: object) -> tuple[int, str, str]:
    done = edgefed(*arguments)
    return done.returncode, done.stdout, done.stderr


def trained(edgefed: Edgefed, site: Path, *more: object, job: str = "job.toml") -> dict[str, Any]:
    code, out, err = run(edgefed, "train", site / job, "--state", site, "--out", site / "model", "--json", *more)
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def test_a_site_trains_alone_and_maps_another_scene(site: Path, edgefed: Edgefed) -> None:
    document = trained(edgefed, site)
    assert document["split"] == "disjoint" and document["train_pixels"] == 150
    assert document["accuracy"]["oa"] > 0.95 and document["svm"]["oa"] > 0.5
    assert set(document["accuracy"]["per_class"]) == set(CLASSES)
    cube, labels = scene(2)
    cube[:3] = 0
    (site / "flight").mkdir()
    write_envi(site / "flight" / "b.img", cube, "bil", more=MAP_INFO)
    code, out, err = run(
        edgefed,
        "infer",
        site / "flight" / "b.hdr",
        "--state",
        site,
        "--bundle",
        site / "model",
        "--maps",
        site / "maps",
    )
    assert code == 0, err
    line = json.loads(out)
    assert line["no_data"] == 3 * 70 and sum(line["classes"].values()) == 57 * 70
    assert sorted(line["maps"]) == ["envi", "geotiff", "png"]
    plane, names = read_tiff_plane(Path(line["maps"]["geotiff"]))
    assert names == ("wood", "corn", "soy") and (plane == read_envi_plane(Path(line["maps"]["envi"]))[0]).all()
    by_name = np.array(["", *names])[plane]
    known = (labels > 0) & (plane > 0)
    assert (by_name[known] == np.array(["", *CLASSES])[labels[known]]).mean() > 0.95
    place = open_tiff_cube(Path(line["maps"]["geotiff"])).georeference
    assert place is not None and place.transform[2] == 500_000
    with Image.open(line["maps"]["png"]) as picture:
        assert picture.width > 512


def test_a_site_with_several_cubes_is_split_and_measured_in_each(site: Path, edgefed: Edgefed) -> None:
    alone = trained(edgefed, site)
    (site / "model").rename(site / "first")
    cube, labels = scene(3)
    np.savez(site / "other.npz", cube=cube, gt=np.where(labels == 2, 0, labels), class_names=CLASSES)
    scenes = "".join(f'[[data.scenes]]\ncube = "{name}.npz"\nlabels = "{name}.npz"\n' for name in ("scene", "other"))
    (site / "site.toml").write_text(f"{scenes}[egress]\nallow = []\nmax_bytes = 1\n")
    document = trained(edgefed, site)
    assert alone["train_pixels"] == 150 and document["train_pixels"] == 150 + 100
    assert document["test_pixels"] > alone["test_pixels"] and document["accuracy"]["oa"] > 0.9
    assert document["accuracy"]["pixels"]["soy"] == alone["accuracy"]["pixels"]["soy"]


def test_a_tiff_is_a_cube_where_the_model_is_for_cubes(site: Path, edgefed: Edgefed) -> None:
    trained(edgefed, site)
    write_tiff(site / "b.tif", scene(2)[0])
    code, out, err = run(edgefed, "infer", site / "b.tif", "--state", site, "--bundle", site / "model")
    assert code == 0 and json.loads(out)["rows"] == 60 and "maps" not in json.loads(out), err


def test_the_installed_model_of_a_job_maps_cubes(site: Path, edgefed: Edgefed) -> None:
    trained(edgefed, site)
    (site / "models").mkdir()
    (site / "model").rename(site / "models" / "crops")
    (site / "models" / "current").write_text("crops")
    (site / "version").write_text("1")
    for more in ((), ("--job", "crops")):
        code, out, err = run(edgefed, "infer", site / "scene.npz", "--state", site, *more)
        assert code == 0 and json.loads(out)["job"] == "crops", err
    code, _, err = run(edgefed, "infer", site / "a.png", "--state", site)
    assert code == 2 and "whose models judge no images" in err


def test_a_random_split_warns(site: Path, edgefed: Edgefed, caplog: pytest.LogCaptureFixture) -> None:
    document = trained(edgefed, site, "--split", "random", "--per-class", 20)
    assert document["split"] == "random" and document["train_pixels"] == 60
    assert "judge a model by the disjoint split" in caplog.text


def test_without_a_split_every_label_trains(site: Path, edgefed: Edgefed) -> None:
    (site / "job.toml").write_text(JOB.replace("count = 6", "count = 2").replace("epochs = 10", "epochs = 1"))
    assert trained(edgefed, site, "--split", "none") == {"job": "crops", "model": str(site / "model"), "split": None}


def test_a_cube_of_another_camera_is_resampled_or_refused(site: Path, edgefed: Edgefed) -> None:
    (site / "job.toml").write_text(JOB + f"bands.wavelengths = {list(WAVELENGTHS)}\n")
    trained(edgefed, site)
    cube = scene(2)[0]
    fine = np.repeat(cube, 2, axis=2)
    np.savez(site / "fine.npz", cube=fine, wavelengths=np.repeat(WAVELENGTHS, 2) + np.tile([-0.5, 0.5], 8))
    infer = ("infer", site / "fine.npz", "--state", site, "--bundle", site / "model")
    code, _, err = run(edgefed, *infer)
    assert code == 0, err
    np.savez(site / "fine.npz", cube=fine)
    code, _, err = run(edgefed, *infer)
    assert code == 2 and "nobody says those of" in err


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        (np.ones((60, 70, 7), np.uint16), "fitted on 8 bands, and the cube has 7"),
        (np.ones((8, 60, 70), np.uint16), "is the cube transposed? Its bands come last"),
        (np.full((60, 70, 8), np.nan, np.float32), "holds no valid pixel"),
        (np.ones((60, 70), np.uint16), "no array of the shape (rows, columns, bands); there is array (60, 70)"),
    ],
)
def test_a_cube_that_does_not_fit_the_model_is_told(
    site: Path, edgefed: Edgefed, cube: np.ndarray, message: str
) -> None:
    trained(edgefed, site)
    np.save(site / "bad.npy", cube)
    code, out, err = run(edgefed, "infer", site / "bad.npy", "--state", site, "--bundle", site / "model")
    assert code == 2 and not out and message in " ".join(err.split())


def test_faults_of_the_user_are_told(site: Path, edgefed: Edgefed) -> None:
    (site / "model").mkdir()
    code, _, err = run(edgefed, "train", site / "job.toml", "--state", site, "--out", site / "model")
    assert code == 2 and "exists already" in err
    code, _, err = run(edgefed, "infer", site / "scene.npz", "--state", site)
    assert code == 2 and "is not the state folder of a site" in err
    code, _, err = run(edgefed, "infer", site / "a.png", "--state", site, "--maps", site / "maps")
    assert code == 2 and "--maps is for cubes" in err
    (site / "job.toml").write_text(JOB.replace('"wood", ', ""))
    code, _, err = run(edgefed, "train", site / "job.toml", "--state", site, "--out", site / "new")
    assert code == 2 and "which is no class of the job (corn, soy)" in " ".join(err.split())


def test_a_damaged_model_is_told(site: Path, edgefed: Edgefed) -> None:
    trained(edgefed, site)
    (site / "model" / "global.safetensors").write_bytes(b"x")
    code, _, err = run(edgefed, "infer", site / "scene.npz", "--state", site, "--bundle", site / "model")
    assert code == 10 and "cannot be used" in err
