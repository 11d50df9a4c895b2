"""Backups that were damaged or made up: refused whole, and nothing is written outside the folder."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3

from coordinator.backup_format import INDEX
from coordinator.restore import restore
from protos.errors import IntegrityError, StateError

ARTIFACT = blake3(b"bytes").hexdigest()
FILES = {"version": b"2\n", f"artifacts/{ARTIFACT[:2]}/{ARTIFACT}": b"bytes"}


def index_of(files: dict[str, bytes]) -> bytes:
    listed = {name: {"size": len(data), "blake3": blake3(data).hexdigest()} for name, data in files.items()}
    return json.dumps({"format": 1, "made_at": "2030-01-01", "software": "test", "files": listed}).encode()


def write(path: Path, files: dict[str, bytes], index: bytes | None = None, *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in {**files, **({} if index == b"" else {INDEX: index or index_of(files)})}.items():
            if name == INDEX:
                for member in more:
                    archive.addfile(member)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_whole_one_is_taken(tmp_path: Path) -> None:
    restore(write(tmp_path / "b.tar", FILES), tmp_path / "state")
    assert {
        str(path.relative_to(tmp_path / "state")) for path in (tmp_path / "state").rglob("*") if path.is_file()
    } == (set(FILES))


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "/etc/evil", "ca/../../evil", "artifacts/ab/../../../evil", "ca/key.pem/", "lock",
        "operator/key.pem",
        f"artifacts/00/{ARTIFACT}", f"artifacts/{ARTIFACT[:2]}/{ARTIFACT.upper()}", "version\n", ".restoring/version",
    ],
)  # fmt: skip
def test_file_that_does_not_belong_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "b.tar", {**FILES, name: b"x"})
    with pytest.raises(IntegrityError, match=r"no part of a backup|not a backup"):
        restore(path, tmp_path / "deep" / "state")
    assert {entry.name for entry in tmp_path.iterdir()} <= {"b.tar", "deep"}
    assert not (tmp_path / "deep" / "state").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_anything_but_a_plain_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = write(tmp_path / "b.tar", FILES, None, link("ca/key.pem", kind, "/etc/passwd"))
    with pytest.raises(IntegrityError, match=r"holds 'ca/key\.pem', which is no part"):
        restore(path, tmp_path / "state")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda index: index["files"].pop("version"), "version in .* is missing or damaged"),
        (lambda index: index["files"]["version"].update(size=3), "version in .* is missing or damaged"),
        (
            lambda index: index["files"].update({"ca/key.pem": {"size": 1, "blake3": "0"}}),
            "ca/key.pem in .* is missing",
        ),
        (lambda index: index.update(format=2), "is a backup of format 2"),
        (lambda index: index.pop("files"), "is not a backup"),
    ],
)
def test_index_that_says_something_else_is_refused(
    tmp_path: Path, change: Callable[[dict[str, object]], object], words: str
) -> None:
    index = json.loads(index_of(FILES))
    change(index)
    with pytest.raises(IntegrityError, match=words):
        restore(write(tmp_path / "b.tar", FILES, json.dumps(index).encode()), tmp_path / "state")


def test_artifact_under_another_name_is_refused_whatever_the_index_says(tmp_path: Path) -> None:
    files = {"version": b"2\n", f"artifacts/{ARTIFACT[:2]}/{ARTIFACT}": b"other"}
    with pytest.raises(IntegrityError, match=f"{ARTIFACT} in .* is missing or damaged"):
        restore(write(tmp_path / "b.tar", files), tmp_path / "state")


def test_backup_without_its_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="its end is missing"):
        restore(write(tmp_path / "b.tar", FILES, b""), tmp_path / "state")


def test_no_bit_of_a_files_content_can_change_unnoticed(tmp_path: Path) -> None:
    path = write(tmp_path / "b.tar", FILES)
    whole = path.read_bytes()
    for content in FILES.values():
        damaged = bytearray(whole)
        damaged[whole.index(content)] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError, match="is missing or damaged"):
            restore(path, tmp_path / "state")
        assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\0" * 10_240, b"\x1f\x8b" + b"x" * 2000])
def test_file_that_is_no_backup_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(content)
    with pytest.raises(IntegrityError, match="is not a"):
        restore(tmp_path / "b.tar", tmp_path / "state")


def test_state_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="version '99'"):
        restore(write(tmp_path / "b.tar", {"version": b"99\n"}), tmp_path / "state")
    assert not (tmp_path / "state").exists()
