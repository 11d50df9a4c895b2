"""`edgefed client bench` on a real compiled model and real cells."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from edge_client.bench import timing
from edge_client.bench.record import Bench
from edge_client.bundle.bundle import open_bundle

Edgefed = Callable[..., CompletedProcess[str]]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "LEAST_S", 0.2)
    monkeypatch.setattr(timing, "LEAST_RUNS", 20)


def test_figures_and_what_they_depend_on_are_kept_in_the_bundle(
    edgefed: Edgefed, compiled_site: Path, tmp_path: Path
) -> None:
    site = Path(shutil.copytree(compiled_site, tmp_path / "site"))
    done = edgefed("bench", "--state", site, "--batch", 1, "--batch", 3, "--json")
    assert done.returncode == 0, done.stderr
    found = Bench.model_validate_json(done.stdout)
    kept = site / "models" / "cells" / "compiled" / "bench.json"
    assert Bench.model_validate_json(kept.read_bytes()) == found
    assert [batch.size for batch in found.batches] == [1, 3]
    assert (found.backend, found.device, found.precision) == ("onnxruntime", "CPUExecutionProvider", "fp32")
    assert found.images == 16
    assert found.machine.versions.keys() >= {"python", "numpy", "onnxruntime", "edgefed"}
    for batch in found.batches:
        assert batch.runs >= 20
        assert 0 < batch.infer.p50 <= batch.infer.p90 <= batch.infer.p95 <= batch.infer.p99 <= batch.whole.p99
        parts = (batch.decode, batch.preprocess, batch.infer, batch.postprocess)
        assert sum(part.mean for part in parts) == pytest.approx(batch.whole.mean)
    assert open_bundle(kept.parent).files["bench.json"] == kept.read_bytes()  # it is still valid


def test_table_tells_stages_and_machine(edgefed: Edgefed, compiled_bundle: Path, cells: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(compiled_bundle, tmp_path / "bundle"))
    done = edgefed("bench", "--bundle", bundle, "--images", cells, "--batch", 1, "--state", tmp_path)
    assert done.returncode == 0, done.stderr
    for word in ("decode", "preprocess", "infer", "postprocess", "p99", "images/s", "load", "onnxruntime"):
        assert word in done.stdout


def test_backend_that_is_absent_is_an_error_and_not_the_cpu(
    edgefed: Edgefed, compiled_bundle: Path, cells: Path, tmp_path: Path
) -> None:
    asked = ("bench", "--bundle", compiled_bundle, "--images", cells, "--batch", 1, "--state", tmp_path)
    refused = edgefed(*asked, "--backend", "tensorrt")
    if refused.returncode == 0:
        pytest.skip("TensorRT and its device are here")
    assert refused.returncode == 4
    assert "--allow-fallback" in refused.stderr or "tensorrt" in refused.stderr


def test_fallback_is_recorded_when_it_is_allowed(
    edgefed: Edgefed, compiled_bundle: Path, cells: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(compiled_bundle, tmp_path / "bundle"))
    asked = ("bench", "--bundle", bundle, "--images", cells, "--batch", 1, "--state", tmp_path, "--json")
    done = edgefed(*asked, "--backend", "tensorrt", "--allow-fallback")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["asked_backend"] == "tensorrt"
    assert found["backend"] in ("tensorrt", "onnxruntime")


def test_model_that_is_not_compiled_is_told(edgefed: Edgefed, judging_site: Path) -> None:
    done = edgefed("bench", "--state", judging_site)
    assert done.returncode == 2
    assert "is not compiled yet" in done.stderr
