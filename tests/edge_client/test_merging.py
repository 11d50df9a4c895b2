import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgefed.cli import main
from models.hsi.scene import Scene
from models.method import SiteData, Update
from models.wsa.method import WSA
from protos.jobs import job_from_table, job_to_json
from protos.tensors import read_tensors, write_tensors

CLASSES = ["soil", "water", "corn"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def edgefed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`edgefed model merge ...` in this process."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["edgefed", "model", "merge", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, code, printed.out, printed.err)

    return run


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a scene and two models of one job that went different ways after its first round of training."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (10, 12)).astype(np.int16)
    cube = (rng.integers(500, 3000, (4, 16))[labels] + rng.integers(-80, 80, (10, 12, 16))).astype(np.uint16)
    np.savez(tmp_path / "scene.npz", cube=cube)
    np.savez(tmp_path / "labels.npz", labels=labels, class_names=CLASSES)
    scene = Scene(cube, labels, tuple(CLASSES), np.ones(labels.shape, bool))
    data = SiteData([], "", {}, tmp_path, "plant-a", (scene,))
    table = {
        "classes": CLASSES, "network": "spectral-mlp", "bands": {"components": 5},
        "training": {"optimiser": "sgd", "learning_rate": 0.05, "steps": 20},
    }  # fmt: skip
    spec = job_from_table({"name": "fields", "method": "wsa", "wsa": table}, source="the test")
    start = _round(spec.the_settings, data, None, 0)
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        write_tensors(tmp_path / name / "global.safetensors", _round(spec.the_settings, data, start, seed))
        (tmp_path / name / "spec.json").write_text(job_to_json(spec))
    return tmp_path


def _round(settings, data, model, seed):
    result = WSA.local_update(settings, data, model, {}, seed, lambda *progress: None)
    return WSA.aggregate(settings, model, [Update("plant-a", 1.0, result.update)], seed).arrays


@pytest.mark.parametrize("method", ["mean", "wsa"])
def test_two_models_become_one_file_that_projects_bands_as_they_did(edgefed, models, method):
    out = models / "merged.safetensors"
    done = edgefed(models / "a", models / "b", "--out", out, "--method", method, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["out"], document["method"]) == (str(out), method)
    assert document["scope_spread"] >= 0
    found, one = read_tensors(out), read_tensors(models / "a" / "global.safetensors")
    assert set(found) == set(one)
    np.testing.assert_array_equal(found["wsa.bands.matrix"], one["wsa.bands.matrix"])


def test_the_curve_is_drawn_and_told(edgefed, models):
    done = edgefed(
        models / "a", models / "b", "--out", models / "m.safetensors", "--curve", models / "curve.svg",
        "--cube", models / "scene.npz", "--labels", models / "labels.npz", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curve = json.loads(done.stdout)["curve"]
    assert len(curve["shares"]) == len(curve["losses"]["mean"]) == len(curve["accuracies"]["wsa"]) == 21
    assert curve["barrier"].keys() == {"mean", "wsa"}
    picture = ElementTree.parse(curve["picture"]).getroot()
    assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_words_are_printed_without_json(edgefed, models):
    done = edgefed(
        models / "a", models / "b", "--out", models / "m.safetensors", "--curve", models / "curve.svg",
        "--cube", models / "scene.npz", "--labels", models / "labels.npz",
    )  # fmt: skip
    assert "weight scopes lie" in done.stdout
    assert "wsa: barrier" in done.stdout


def _bank(folder: Path) -> list[object]:
    write_tensors(folder / "bank.safetensors", {"rows": np.ones((4, 8), np.float32), "counts": np.ones(4, np.float32)})
    return [folder / "a", folder / "bank.safetensors"]


def _other_network(folder: Path) -> list[object]:
    write_tensors(folder / "other.safetensors", {"fc.weight": np.ones((20, 20), np.float32)})
    return [folder / "a", folder / "other.safetensors"]


def _other_job(folder: Path) -> list[object]:
    arrays = read_tensors(folder / "b" / "global.safetensors")
    write_tensors(folder / "c.safetensors", {**arrays, "wsa.bands.mean": arrays["wsa.bands.mean"] + 1})
    return [folder / "a", folder / "c.safetensors"]


def _text(folder: Path) -> list[object]:
    (folder / "text.safetensors").write_text("no tensors")
    return [folder / "a", folder / "text.safetensors"]


def _exists(folder: Path) -> list[object]:
    (folder / "out.safetensors").write_text("kept")
    return [folder / "a", folder / "b"]


@pytest.mark.parametrize(
    ("prepare", "fault"),
    [
        (_bank, "holds no weights of layers"),
        (_other_network, "cannot be merged: model 2 is of another network"),
        (_other_job, "see the bands through different projections"),
        (_text, "is not a safetensors file"),
        (_exists, "exists; choose another name"),
        (lambda folder: [folder / "a"], "name two or more"),
        (lambda folder: [folder / "a", folder / "b", "--curve", folder / "c.svg"], "--cube and --labels"),
    ],
    ids=["memory bank", "other network", "other job", "no tensors", "out exists", "one model", "no cube"],
)
def test_what_cannot_be_merged_is_refused_in_one_line(edgefed, models, prepare, fault):
    done = edgefed(*prepare(models), "--out", models / "out.safetensors")
    assert done.returncode == 2
    assert fault in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_cube_of_other_bands_is_refused(edgefed, models):
    np.savez(models / "narrow.npz", cube=np.load(models / "scene.npz")["cube"][..., :9])
    done = edgefed(
        models / "a", models / "b", "--out", models / "m.safetensors", "--curve", models / "curve.svg",
        "--cube", models / "narrow.npz", "--labels", models / "labels.npz",
    )  # fmt: skip
    assert done.returncode == 2
    assert "fitted on 16 bands, and the cube has 9" in done.stderr
    assert not (models / "m.safetensors").exists()
