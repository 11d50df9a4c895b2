"""`edgefed model keys|import hypersigma` as people type them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from models.hypersigma.networks import key_shapes, plan
from tests.models.hypersigma.published import publish


def model(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefed", "model", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)


@pytest.mark.parametrize(("branch", "size", "count"), [("spatial", "huge", 495), ("classification", "base", 392)])
def test_keys_are_printed_with_their_shapes(branch: str, size: str, count: int) -> None:
    done = model("keys", "hypersigma", "--branch", branch, "--size", size)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", count)
    assert dict(line.split("\t") for line in lines) == {
        key: str(shape) for key, shape in key_shapes(plan(branch, size)).items()
    }


def test_keys_of_another_window_come_as_one_json_document() -> None:
    done = model("keys", "hypersigma", "--branch", "anomaly", "--bands", "189", "--image", "40", "--json")
    shapes = json.loads(done.stdout)
    assert shapes["spat_encoder.patch_embed.proj.weight"] == [768, 189, 1, 1]
    assert shapes["spec_encoder.spat_map.weight"] == [768, 1600]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--branch", "cooking"), "no network for cooking"),
        (("--branch", "change", "--image", "9"), "5 x 5 or 7 x 7 patches"),
        (("--branch", "classification", "--size", "giant"), "no size giant"),
    ],
)
def test_keys_of_no_network_are_an_error_in_one_line(options: tuple[str, ...], message: str) -> None:
    done = model("keys", "hypersigma", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("published")
    return publish(folder, "spatial", "base"), publish(folder, "spectral", "base")


def test_import_writes_the_official_network_and_says_what_became_of_each_part(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    done = model("import", "hypersigma", *files, "--task", "anomaly", "--bands", "20", "--image", "8", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "loaded: spat_encoder: blocks (144 tensors): from the checkpoint" in lines
    assert any(line.startswith("initialised: spat_encoder: patch_embed (2 tensors): its weight is") for line in lines)
    assert lines[-1] == "written: hypersigma-base-anomaly.safetensors"
    with safe_open(tmp_path / "hypersigma-base-anomaly.safetensors", framework="pt") as written:
        shapes = {key: tuple(written.get_slice(key).get_shape()) for key in written.keys()}  # noqa: SIM118
        copied = written.get_tensor("spec_encoder.blocks.7.mlp.fc2.bias")
    assert shapes == key_shapes(plan("anomaly", "base", bands=20, image=8))
    source = torch.load(files[1], weights_only=False)["model"]["blocks.7.mlp.fc2.bias"]
    assert torch.equal(copied, source)
    again = model("import", "hypersigma", *files, "--task", "anomaly", folder=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_import_refuses_what_is_not_published_and_writes_nothing(files: tuple[Path, Path], tmp_path: Path) -> None:
    foreign = tmp_path / "vit.pth"
    torch.save({"model": {"cls_token": torch.zeros(1, 1, 768)}}, foreign)
    done = model("import", "hypersigma", foreign, files[1], folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"edgefed: {foreign} is no published HyperSIGMA checkpoint")
    assert len(done.stderr.splitlines()) == 11
    swapped = model("import", "hypersigma", files[1], files[0], folder=tmp_path)
    assert "holds the spectral branch" in swapped.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["vit.pth"]
