"""The training worker: what it answers, that it can be repeated, and that nothing but answers is on its stdout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.compile_order import Order, read_order, write_order
from edge_client.worker import Training, answer
from protos.tensors import read_tensors


@pytest.fixture
def training() -> Training:
    return Training(lambda stage, step, steps: None)


def request(site: Path, op: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "job_dir": str(site / "jobs" / "cells"), "site_dir": str(site), **more}


def error_of(site: Path, training: Training) -> tuple[str, str]:
    error = answer(request(site, "declare"), training)["error"]
    return error["kind"], error["message"]


def test_declaration_names_backbone_and_width(site_folder: Path, training: Training) -> None:
    declared = answer(request(site_folder, "declare"), training)["result"]["declaration"]
    assert declared["backbone"] == "efficientnet_lite0"
    assert declared["image_size"] == "96"


def test_a_round_gives_the_same_bytes_when_it_is_done_again(site_folder: Path, training: Training) -> None:
    job, out = site_folder / "jobs" / "cells", site_folder / "update.safetensors"
    seen = []
    for _ in range(2):
        shutil.rmtree(job / "scratch", ignore_errors=True)
        result = answer(request(site_folder, "update", round=1, out=str(out), **{"global": None}), training)["result"]
        seen.append((out.read_bytes(), (job / "state-1.safetensors").read_bytes()))
    assert seen[0] == seen[1]
    assert result["weight"] == 32
    assert result["metrics"]["held_out"] == 6


def test_a_round_goes_on_from_the_last_state_when_the_site_missed_some(site_folder: Path, training: Training) -> None:
    job = site_folder / "jobs" / "cells"
    updates = {}
    for number, previous in ((1, None), (2, "1"), (4, "1")):
        out = job / f"update-{number}.safetensors"
        known = None if previous is None else str(job / f"update-{previous}.safetensors")
        answer(request(site_folder, "update", round=number, out=str(out), **{"global": known}), training)
        updates[number] = read_tensors(out)
    kept = read_tensors(job / "state-4.safetensors")
    (job / "state-2.safetensors").unlink()
    (job / "state-1.safetensors").unlink()
    answer(request(site_folder, "update", round=4, out=str(job / "u"), **{"global": known}), training)
    fresh = read_tensors(job / "state-4.safetensors")
    assert any(not np.array_equal(kept[name], fresh[name]) for name in kept)


def test_site_without_images_is_unusable(site_folder: Path, training: Training) -> None:
    (site_folder / "site.toml").write_text('[egress]\nallow = ["memory-bank"]\nmax_bytes = 1000\n')
    kind, message = error_of(site_folder, training)
    assert kind == "Unusable"
    assert "set [data] images in site.toml" in message


def test_folder_is_not_told_to_the_coordinator_when_it_holds_no_image(
    site_folder: Path, training: Training, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = tmp_path / "patient-files"
    empty.mkdir()
    (site_folder / "site.toml").write_text(
        f'[data]\nimages = "{empty}"\n[egress]\nallow = ["memory-bank"]\nmax_bytes = 1000\n'
    )
    kind, message = error_of(site_folder, training)
    assert kind == "Unusable"
    assert "patient-files" not in message
    assert "patient-files: found no files" in caplog.text


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [(None, "InvalidInput", "cannot be read"), (b"other", "IntegrityError", "site.toml promises 0000")],
)
def test_backbone_is_refused_when_its_file_is_not_the_promised_one(
    site_folder: Path, training: Training, content: bytes | None, kind: str, words: str
) -> None:
    if content is not None:
        (site_folder / "resnet.pth").write_bytes(content)
    with (site_folder / "site.toml").open("a") as file:
        file.write(f'[backbones.resnet18]\nweights = "resnet.pth"\nsha256 = "{"0" * 64}"\n')
    found, message = error_of(site_folder, training)
    assert found == kind
    assert words in message


def test_bad_image_is_left_out_and_its_repair_is_seen(
    site_folder: Path, cells: Path, training: Training, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = shutil.copytree(cells, tmp_path / "copy")
    toml = (site_folder / "site.toml").read_text().replace(str(cells), str(images))
    (site_folder / "site.toml").write_text(toml)
    broken = sorted((images / "train" / "good").iterdir())[3]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:500])
    counts = []
    for number in (1, 2):
        out = site_folder / "update.safetensors"
        found = answer(request(site_folder, "update", round=number, out=str(out), **{"global": None}), training)
        counts.append(found["result"]["metrics"]["images"] + found["result"]["metrics"]["held_out"])
        broken.write_bytes(whole)
    assert counts == [15, 16]
    assert f"image skipped: {broken}" in caplog.text


def test_full_disk_is_told_when_the_state_cannot_be_written(site_folder: Path, training: Training) -> None:
    (site_folder / "jobs" / "cells" / "state-1.safetensors.partial").mkdir()
    asked = request(site_folder, "update", round=1, out=str(site_folder / "u"), **{"global": None})
    assert answer(asked, training)["error"]["kind"] == "StateError"


def test_installed_model_holds_spec_global_and_local(judging_site: Path) -> None:
    model = judging_site / "models" / "cells"
    assert {path.name for path in model.iterdir()} == {"spec.json", "global.safetensors", "local.safetensors"}
    assert read_tensors(model / "local.safetensors")["calibration"].shape == (6,)


def test_stdout_carries_answers_alone_and_ends_with_the_requests(site_folder: Path) -> None:
    asked = [request(site_folder, "declare"), request(site_folder / "nowhere", "declare")]
    done = subprocess.run(
        [sys.executable, "-m", "edge_client.worker"], input="".join(json.dumps(one) + "\n" for one in asked),
        capture_output=True, text=True, check=True, env={**os.environ, "EDGEFED_THREADS": "1"},
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(one) for one in answers[-2:]] == [{"result"}, {"error"}]
    assert all(set(one) == {"progress"} for one in answers[:-2])
    assert answers[0] == {"progress": ["reading", 1, 16]}


def test_worker_refuses_a_thread_count_that_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge_client.worker"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, env={**os.environ, "EDGEFED_THREADS": "many"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "EDGEFED_THREADS is 'many'; it takes a whole number from 1 to 1024\n"


@pytest.mark.timeout(60)
def test_a_round_number_without_bounds_costs_no_time(site_folder: Path, training: Training) -> None:
    out = str(site_folder / "update.safetensors")
    answered = answer(request(site_folder, "update", round=(1 << 32) - 1, out=out, **{"global": None}), training)
    assert answered["result"]["weight"] > 0


def test_a_model_is_compiled_as_its_order_says(compiled_site: Path, training: Training, tmp_path: Path) -> None:
    site = Path(shutil.copytree(compiled_site, tmp_path / "site"))
    model = site / "models" / "cells"
    order = read_order(model)
    assert order == Order(backend="onnxruntime", precision="fp32")  # what `compile` was asked for
    shutil.rmtree(model / "compiled")
    result = answer(request(site, "compile"), training)["result"]
    assert (result["backend"], result["precision"]) == ("onnxruntime", "fp32")
    assert "not signed yet" in result["notes"][0] and (model / "compiled" / "manifest.json").exists()
    write_order(model, order.model_copy(update={"backend": "onnxruntime-cuda"}))
    assert answer(request(site, "compile"), training)["error"]["kind"] == "BackendMissing"
    (model / "compile.json").unlink()
    assert "nobody has asked" in answer(request(site, "compile"), training)["error"]["message"]
