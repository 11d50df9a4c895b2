"""Bundles that are not what they say are refused in one line before anything of them is used."""

from __future__ import annotations

import errno
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from safetensors.numpy import load, save

from edge_client.bundle import exchange
from edge_client.bundle.bundle import open_bundle
from edge_client.bundle.files import BANK, read_files
from edge_client.bundle.sums import sums_of
from edge_client.bundle.writing import write_bundle, write_tar
from protos.errors import EdgeFedError, IntegrityError, InvalidInput

Spoil = Callable[[Path], object]


@pytest.fixture
def folder(compiled_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(compiled_bundle, tmp_path / "bundle"))


def resum(folder: Path) -> None:
    """Makes SHA256SUMS right again, as somebody would who changes a bundle on purpose."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "SHA256SUMS").write_bytes(sums_of(files))


def change_manifest(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def change_rows(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    path = folder / "memory_bank.safetensors"
    tensors = load(path.read_bytes())
    path.write_bytes(save({**tensors, "rows": np.ascontiguousarray(change(tensors["rows"]))}))


def test_a_bundle_is_read_as_it_was_written(folder: Path, compiled_site: Path) -> None:
    bundle = open_bundle(folder)
    assert (bundle.manifest.job, bundle.manifest.backend, bundle.manifest.precision) == ("cells", "onnxruntime", "fp32")
    assert bundle.bank.rows.shape == (bundle.manifest.memory.rows, bundle.manifest.memory.width) == (32, 152)
    assert len(bundle.calibration.normal_scores) == 6
    installed = compiled_site / "models" / "cells" / "global.safetensors"
    assert (folder / "memory_bank.safetensors").read_bytes() == installed.read_bytes()


def test_the_sums_are_those_of_sha256sum(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    names = [line.split("  ")[1] for line in lines]
    assert names == sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    assert all(len(line.split("  ")[0]) == 64 for line in lines)


def test_a_measurement_of_this_device_may_lie_beside_it(folder: Path) -> None:
    (folder / "bench.json").write_text("{}")
    assert open_bundle(folder).manifest.job == "cells"


def test_a_tar_is_the_same_bundle_and_the_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "one.tar", tmp_path / "two.tar"
    for path in (first, second):
        write_tar(path, read_files(folder))
    assert first.read_bytes() == second.read_bytes()
    assert open_bundle(first).digest == open_bundle(folder).digest


def test_an_interrupted_write_leaves_the_bundle_that_was_there(folder: Path) -> None:
    before = open_bundle(folder).digest
    staged = folder.with_name(".bundle.new")
    staged.mkdir()
    (staged / "model.onnx").write_bytes(b"half")
    assert open_bundle(folder).digest == before
    write_bundle(folder, {name: data for name, data in read_files(folder).items() if name != "SHA256SUMS"})
    assert open_bundle(folder).digest == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["bundle"]


def flip(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        *((flip(name), f"{name} has the SHA-256 ") for name in
          ("model.onnx", "manifest.json", "memory_bank.safetensors", "calibration.json", "parity.json",
           "generator.safetensors", "MODEL_CARD.md")),
        (lambda folder: (folder / "model.onnx").unlink(), "lacks model.onnx"),
        (lambda folder: (folder / "generator.safetensors").unlink(), "lacks generator.safetensors"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "lacks SHA256SUMS"),
        (lambda folder: (folder / "SHA256SUMS").write_text(""), "SHA256SUMS of the bundle is damaged"),
        (lambda folder: (folder / "SHA256SUMS").write_text("x" * 64 + "  ../../etc/passwd\n"), "is damaged"),
        (lambda folder: (folder / "model.int8.onnx").write_bytes(b"x"), "does not list model.int8.onnx"),
    ],
)  # fmt: skip
def test_what_the_sums_do_not_promise_is_an_integrity_error(folder: Path, spoil: Spoil, words: str) -> None:
    spoil(folder)
    refused(folder, words, IntegrityError, 7)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: change_manifest(folder, schema_version=2), "has the schema 2 and this edgefed reads 1"),
        (lambda folder: change_manifest(folder, precision="int4"), "manifest.json cannot be used: precision: "),
        (lambda folder: change_manifest(folder, job="../../x"), "manifest.json cannot be used: job: "),
        (lambda folder: change_manifest(folder, more=1), "manifest.json cannot be used: more: "),
        (lambda folder: change_manifest(folder, precision="int8"), "contradict each other"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "manifest.json cannot be used: "),
        (lambda folder: change_rows(folder, lambda rows: rows[:, :100]), "generator of the memory's 100 features"),
        (lambda folder: change_rows(folder, lambda rows: rows[:5]), "not a memory bank: 5 rows need as many counts"),
        (lambda folder: change_rows(folder, lambda rows: rows * np.float16(np.nan)), "32 of 32 rows hold NaN"),
        (lambda folder: (folder / "memory_bank.safetensors").write_bytes(b"x"), "not a readable safetensors file"),
        (lambda folder: (folder / "calibration.json").write_text('{"normal_scores": [1e999]}'), "calibration.json: "),
    ],
)
def test_what_the_sums_promise_and_cannot_be_is_told(folder: Path, spoil: Spoil, words: str) -> None:
    spoil(folder)
    resum(folder)
    refused(folder, words, InvalidInput, 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "run.py").write_text("x"), "holds 'run.py', which belongs to no bundle"),
        (lambda folder: (folder / "more").mkdir(), "holds 'more', which belongs to no bundle"),
        (lambda folder: (folder / "bench.json").symlink_to("/etc/passwd"), "bench.json, which is not a plain file"),
        (lambda folder: (folder / "bench.json").mkdir(), "bench.json, which is not a plain file"),
        (lambda folder: (folder / "bench.json").write_bytes(bytes(17 << 20)), "bench.json of 17 MiB, which is more"),
        (shutil.rmtree, "cannot be read: No such file or directory"),
    ],
)
def test_what_belongs_to_no_bundle_is_told(folder: Path, spoil: Spoil, words: str) -> None:
    spoil(folder)
    refused(folder, words, InvalidInput, 2)


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    found = tarfile.TarInfo(name)
    found.size = len(data)
    for field, value in fields.items():
        setattr(found, field, value)
    return found, data


@pytest.mark.parametrize(
    ("hostile", "words"),
    [
        (member("../model.onnx", b"x"), "'../model.onnx', which belongs to no bundle"),
        (member("/etc/model.onnx", b"x"), "'/etc/model.onnx', which belongs"),
        (member("bench.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "not a plain file"),
        (member("bench.json", type=tarfile.LNKTYPE, linkname="model.onnx"), "not a plain file"),
        (member("bench.json", type=tarfile.CHRTYPE), "not a plain file"),
        (member("bench.json", type=tarfile.FIFOTYPE), "not a plain file"),
        (member("model.onnx", b"x"), "holds model.onnx twice"),
        (member("bench.json", bytes(17 << 20)), "bench.json of 17 MiB, which is more"),
    ],
)
def test_a_hostile_tar_is_refused(
    folder: Path, tmp_path: Path, hostile: tuple[tarfile.TarInfo, bytes], words: str
) -> None:
    path = tmp_path / "bundle.tar"
    write_tar(path, read_files(folder))
    with tarfile.open(path, "a") as archive:
        archive.addfile(hostile[0], io.BytesIO(hostile[1]))
    refused(path, words, InvalidInput, 2)


@pytest.mark.parametrize("keep", [0, 100, 1000, 60_000])
def test_a_tar_that_ends_early_is_refused(folder: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "bundle.tar"
    write_tar(path, read_files(folder))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(EdgeFedError) as error:
        open_bundle(path)
    assert "\n" not in str(error.value)


def refused(path: Path, words: str, kind: type[EdgeFedError], code: int) -> None:
    with pytest.raises(kind) as error:
        open_bundle(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == code


@pytest.mark.parametrize("fault", [0, errno.EINVAL], ids=["exchanged", "renamed"])
def test_a_bundle_is_replaced_as_a_whole(
    folder: Path, fault: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if fault:  # a file system that cannot exchange two folders
        monkeypatch.setattr(exchange, "_exchange", lambda first, second: fault)
    files = {name: data for name, data in read_files(folder).items() if name != "SHA256SUMS"}
    write_bundle(folder, {**files, "MODEL_CARD.md": b"another"})
    assert open_bundle(folder).files["MODEL_CARD.md"] == b"another"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_a_killed_measurement_left_is_passed_over(folder: Path) -> None:
    (folder / "bench.json.partial").write_bytes(b"{")
    assert "bench.json.partial" not in open_bundle(folder).files


def test_the_manifest_names_the_global_artifact_and_may_be_of_before_it_did(folder: Path) -> None:
    assert open_bundle(folder).manifest.global_digest == blake3((folder / BANK).read_bytes()).hexdigest()
    change_manifest(folder, global_digest=None, round=None)
    resum(folder)
    assert open_bundle(folder).manifest.global_digest is None
    change_manifest(folder, global_digest="0" * 64)
    resum(folder)
    with pytest.raises(InvalidInput, match=r"is not the global artifact that manifest\.json names"):
        open_bundle(folder)
