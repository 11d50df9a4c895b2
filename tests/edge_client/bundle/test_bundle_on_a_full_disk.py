"""A bundle on a disk that really is full: what was there stays, whole, and nothing lies in its way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_client.bundle.bundle import open_bundle
from edge_client.bundle.files import read_files
from edge_client.bundle.writing import write_bundle
from edge_client.state import write_durably
from protos.errors import StateError
from tests.e2e.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk", 16 << 20)
    yield disk
    disk.close()


def test_the_last_good_bundle_stays(disk: SmallDisk, compiled_bundle: Path) -> None:
    folder = Path(shutil.copytree(compiled_bundle, disk.folder / "compiled"))
    before, files = open_bundle(folder).digest, read_files(folder)
    del files["SHA256SUMS"]
    disk.leave(64 << 10)
    with pytest.raises(StateError, match="no room left on the disk"):
        write_bundle(folder, {**files, "MODEL_CARD.md": b"another"})
    disk.leave()
    with pytest.raises(StateError, match="no room left on the disk"):
        write_durably(folder / "bench.json", bytes(1 << 20))
    assert open_bundle(folder).digest == before
    disk.clear()
    assert [path.name for path in disk.folder.iterdir()] == ["compiled"]
