"""A site's cube on its way into training: `site.toml`, the reader, and a real round of a `wsa` job."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.config import NO_DATA, load_site_config, site_toml
from edge_client.site_data import SiteReader
from edge_client.worker import Training, answer
from models.method import SiteData
from protos.errors import InvalidInput
from protos.jobs import JobSpec, job_from_table, job_to_json
from protos.tensors import read_tensors
from tests.edge_client.cubes.files import write_envi

EGRESS = '[egress]\nallow = ["weights"]\nmax_bytes = 1_000_000\n'
CLASSES = ("corn", "soy", "wood")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = (np.arange(30)[None, :] // 5 % 4 * np.ones((24, 1))).astype(np.int16)
    cube = (rng.integers(1000, 60_000, (4, 8))[labels] + rng.integers(0, 900, (24, 30, 8))).astype(np.uint16)
    np.savez(tmp_path / "scene.npz", cube=cube, gt=labels, class_names=np.array(CLASSES))
    (tmp_path / "identity").mkdir()
    (tmp_path / "identity" / "coordinator.json").write_text(json.dumps({"site": "plant-a"}))
    say(tmp_path, 'cube = "scene.npz"\nlabels = "scene.npz"\n')
    (tmp_path / "jobs" / "crops").mkdir(parents=True)
    return tmp_path


def say(site: Path, data: str) -> None:
    (site / "site.toml").write_text(f"[data]\n{data}{EGRESS}")


def spec(**wsa: Any) -> JobSpec:
    table = {"network": "spectral-mlp", "classes": list(CLASSES), "bands": {"components": 4}, **wsa}
    return job_from_table({"name": "crops", "method": "wsa", "wsa": table}, source="test")


def read(site: Path, reader: SiteReader) -> SiteData:
    return reader.read(site, site / "jobs" / "crops", spec(), lambda stage, step, steps: None)


def ask(site: Path, op: str, *, job: JobSpec | None = None, **more: Any) -> dict[str, Any]:
    (site / "jobs" / "crops" / "spec.json").write_text(job_to_json(job or spec()))
    request = {"op": op, "job_dir": str(site / "jobs" / "crops"), "site_dir": str(site), **more}
    return answer(request, Training(lambda stage, step, steps: None))


def test_a_scene_is_read_once_and_again_when_it_changes(site: Path) -> None:
    reader = SiteReader()
    first, again = read(site, reader), read(site, reader)
    assert first.scenes[0] is again.scenes[0] and first.fingerprint == again.fingerprint and not len(first.samples)
    say(site, 'cube = "scene.npz"\nlabels = "scene.npz"\nbad_bands = [1]\n')
    changed = read(site, reader)
    assert changed.scenes[0].cube.shape == (24, 30, 7) and changed.fingerprint != first.fingerprint


def test_a_round_is_done_from_the_files_of_a_site(site: Path) -> None:
    assert ask(site, "declare")["result"]["declaration"]["bands"] == "8"
    out = site / "sums.safetensors"
    done = ask(site, "update", round=1, out=str(out), **{"global": None})
    assert done["result"]["weight"] == 24 * 20 and read_tensors(out)


def test_what_fails_names_files_in_the_log_and_not_on_the_wire(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    say(site, 'cube = "scene.npz"\nlabels = "scene.npz"\nvariable = "patient"\n')
    with caplog.at_level(logging.ERROR):
        error = ask(site, "declare")["error"]
    assert error == {
        "kind": "Unusable",
        "message": "the site has no labelled scene that can be read; its log says more",
    }
    assert "scene.npz has no array 'patient'" in caplog.text


def test_a_site_without_a_labelled_cube_is_unusable(site: Path) -> None:
    say(site, 'cube = "scene.npz"\n')
    assert "set [data] cube and labels in site.toml" in ask(site, "declare")["error"]["message"]


def test_classes_meet_those_of_the_job_by_name(site: Path) -> None:
    assert "result" in ask(site, "declare", job=spec(classes=["wood", "SOY", "oats", "corn"]))
    error = ask(site, "declare", job=spec(classes=["wood", "oats"]))["error"]
    assert error["kind"] == "Unusable" and "labels of corn, soy, which is no class of the job" in error["message"]


def test_a_site_of_unknown_wavelengths_is_refused_by_name(site: Path) -> None:
    error = ask(site, "declare", job=spec(bands={"components": 2, "wavelengths": [500.0, 510.0, 520.0]}))["error"]
    assert error["kind"] == "Unusable" and "nothing says which this scene's 8 bands have" in error["message"]


def test_several_cubes_share_what_is_said_beside_them(site: Path) -> None:
    with np.load(site / "scene.npz") as scene:
        cube, labels = scene["cube"], scene["gt"]
    np.savez(site / "other.npz", cube=cube[:12, ::-1], flags=cube[:2], gt=labels[:12, ::-1])
    text = 'bad_bands = [1]\nclasses = ["corn", "soy", "wood"]\n'
    text += '[[data.scenes]]\ncube = "scene.npz"\nlabels = "scene.npz"\n'
    text += '[[data.scenes]]\ncube = "other.npz"\nlabels = "other.npz"\nvariable = "cube"\nbad_bands = [2]\n'
    say(site, text)
    reader = SiteReader()
    first, second = read(site, reader).scenes
    assert first.cube.shape == (24, 30, 7) and (first.cube == cube[:, :, 1:]).all()
    assert second.cube.shape == (12, 30, 7) and (second.cube == cube[:12, ::-1, [0, *range(2, 8)]]).all()
    assert read(site, reader).scenes[0] is first
    done = ask(site, "update", round=1, out=str(site / "sums.safetensors"), **{"global": None})
    assert done["result"]["weight"] == 24 * 20 + 12 * 20
    data = load_site_config(site).data
    assert data.of_cube(site / "other.npz").variable == "cube" and data.of_cube(site / "new.npz").bad_bands == ((1, 1),)


def test_one_cube_or_several_not_both(site: Path) -> None:
    say(site, 'cube = "scene.npz"\n[[data.scenes]]\ncube = "scene.npz"\nlabels = "scene.npz"\n')
    with pytest.raises(InvalidInput, match=r"cube and labels stand in each of \[\[data\.scenes\]\]"):
        load_site_config(site)
    say(site, '[[data.scenes]]\ncube = "scene.npz"\n')
    assert "set [data] cube and labels in site.toml" in ask(site, "declare")["error"]["message"]


def test_a_scene_is_read_again_when_the_image_beside_its_header_changes(site: Path) -> None:
    with np.load(site / "scene.npz") as scene:
        cube = scene["cube"]
    write_envi(site / "scene.img", cube)
    say(site, 'cube = "scene.hdr"\nlabels = "scene.npz"\n')
    reader = SiteReader()
    first = read(site, reader)
    (site / "scene.img").write_bytes((site / "scene.img").read_bytes()[::-1])
    assert read(site, reader).fingerprint != first.fingerprint


def test_every_fault_of_the_table_is_told(site: Path) -> None:
    say(site, 'cube = "scene.npz"\nbands = ["1_5"]\nbad_bands = [1.5]\nwavelengths = [-1]\nlables = "x"\n')
    with pytest.raises(InvalidInput) as error:
        load_site_config(site)
    for key in ("data.bands", "data.bad_bands", "data.wavelengths", "data.lables: unknown key"):
        assert key in str(error.value)


def test_the_comments_of_a_new_site_are_a_table_that_is_read(site: Path) -> None:
    said = site_toml(NO_DATA).partition("# Several cubes")[0].splitlines()
    lines = [*said, "[egress]", "allow = []", "max_bytes = 1"]
    keys = ("cube", "labels", "classes", "bands", "bad_bands", "no_data", "wavelengths", "variable")
    freed = [
        line.removeprefix("# ") if line.startswith(tuple(f"# {key} = " for key in keys)) else line for line in lines
    ]
    (site / "site.toml").write_text("\n".join(freed))
    data = load_site_config(site).data
    assert data.cube == Path("/data/scene.hdr") and data.bands == ((1, 103), (110, 110)) and data.no_data == -9999
