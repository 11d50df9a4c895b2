"""The double of a power cut: strict, and it forgets nothing that was synced."""

from __future__ import annotations

from pathlib import Path

import pytest

from protos.durable import sync_folder, write_durably
from tests.faults.injected.disk import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "state").mkdir()
    return Disk(tmp_path / "state", tmp_path / "image")


def sync(disk: Disk, *names: str) -> None:
    for name in names:
        disk.synced(disk.root / name)


def test_what_was_synced_is_there_after_a_power_cut(disk: Disk) -> None:
    (disk.root / "folder").mkdir()
    (disk.root / "folder" / "file").write_text("old")
    sync(disk, "folder/file", "folder", ".")
    (disk.root / "folder" / "file").write_text("new")
    disk.lose_power()
    assert (disk.root / "folder" / "file").read_text() == "old"


def test_file_without_content_is_left_when_only_its_folder_was_synced(disk: Disk) -> None:
    (disk.root / "file").write_text("content")
    sync(disk, ".")
    disk.lose_power()
    assert (disk.root / "file").read_text() == ""


@pytest.mark.parametrize("how", ["made", "renamed", "linked"])
def test_entry_is_lost_when_its_folder_was_not_synced(disk: Disk, how: str) -> None:
    (disk.root / "before").write_text("content")
    sync(disk, "before", ".")
    if how == "renamed":
        (disk.root / "before").rename(disk.root / "after")
    elif how == "linked":
        (disk.root / "after").hardlink_to(disk.root / "before")
    else:
        (disk.root / "after").write_text("content")
        sync(disk, "after")
    disk.lose_power()
    assert [path.name for path in disk.root.iterdir()] == ["before"]


def test_folder_that_takes_a_removed_ones_place_does_not_bring_its_files_back(disk: Disk) -> None:
    (disk.root / "old").mkdir()
    (disk.root / "old" / "file").write_text("content")
    sync(disk, "old/file", "old", ".")
    (disk.root / "old" / "file").unlink()
    (disk.root / "old").rmdir()
    (disk.root / "new").mkdir()
    disk.made(disk.root / "new")
    sync(disk, ".")
    disk.lose_power()
    assert list(disk.root.rglob("*")) == [disk.root / "new"]


def test_durable_writing_passes_when_its_own_syncs_are_recorded(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFED_TEST_DISK", f"{disk.root}:{disk.root.parent / 'image'}")
    for name in ("fsync", "mkdir"):
        monkeypatch.setattr(f"os.{name}", getattr(__import__("os"), name))  # put back after the test
    from tests.faults.injected.disk import install

    install()
    (disk.root / "folder").mkdir()
    sync_folder(disk.root)
    write_durably(disk.root / "folder" / "file", b"whole")
    disk.lose_power()
    assert (disk.root / "folder" / "file").read_bytes() == b"whole"
