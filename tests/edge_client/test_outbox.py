import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_client.outbox import Outbox, Parcel
from protos.artifacts import MEMORY_BANK, Manifest
from protos.errors import InvalidInput, StateError

PARCEL = Parcel("cells", 2, 7, 256.0, "b" * 64, Manifest("a" * 64, 5, MEMORY_BANK, (bytes(range(32)),)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


def put(folder: Path, parcel: Parcel) -> Path:
    content = folder.parent / "update.safetensors"
    content.write_bytes(b"bytes")
    Outbox(folder).put(parcel, content)
    return content


def test_a_parcel_is_the_same_after_a_restart(folder: Path) -> None:
    content = put(folder, PARCEL)
    after = Outbox(folder)
    assert after.waiting() == [PARCEL]
    assert after.find("cells", 2) == PARCEL
    assert after.find("cells", 3) is None
    assert after.content(PARCEL).read_bytes() == b"bytes"
    assert not content.exists()


def test_parcels_wait_in_order_of_arrival(folder: Path) -> None:
    for job in ("z", "a", "m"):
        put(folder, replace(PARCEL, job=job))
    assert [parcel.job for parcel in Outbox(folder).waiting()] == ["z", "a", "m"]


def test_a_parcel_is_gone_when_it_is_removed(folder: Path) -> None:
    put(folder, PARCEL)
    Outbox(folder).remove(PARCEL)
    assert list(folder.iterdir()) == []


def test_content_without_a_label_is_no_parcel_when_a_power_cut_came_between(folder: Path) -> None:
    (folder / "cells.2.safetensors").write_bytes(b"bytes")
    assert Outbox(folder).waiting() == []
    put(folder, PARCEL)
    assert Outbox(folder).waiting() == [PARCEL]


def test_a_newer_lease_changes_the_epoch_alone(folder: Path) -> None:
    put(folder, PARCEL)
    Outbox(folder).renew(PARCEL, 8)
    assert Outbox(folder).waiting() == [replace(PARCEL, epoch=8)]


@pytest.mark.parametrize("label", ["", "{}", "[1]", '{"job": "cells"}'])
def test_a_damaged_label_is_told(folder: Path, label: str) -> None:
    (folder / "cells.1.json").write_text(label)
    with pytest.raises(StateError, match=r"cells\.1\.json cannot be read; move it away"):
        Outbox(folder).waiting()


def test_a_job_name_that_is_unsafe_as_a_file_name_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput):
        put(folder, replace(PARCEL, job="../../etc"))


@pytest.mark.parametrize(
    "change",
    [
        {"job": 5}, {"job": "../x"}, {"job": "other"}, {"round": "2"}, {"round": -1}, {"round": 3}, {"epoch": 1 << 64},
          {"weight": [1]}, {"base": "x"}, {"base": 5}, {"digest": "zz"},
        {"digest": None}, {"size": 1 << 60}, {"size": 0}, {"media_type": "application/x-pickle"}, {"chunk_digests": []},
    ],
)  # fmt: skip
def test_a_label_that_promises_something_impossible_is_named(folder: Path, change: dict[str, object]) -> None:
    put(folder, PARCEL)
    label = folder / "cells.2.json"
    label.write_text(json.dumps(json.loads(label.read_text()) | change))
    with pytest.raises(StateError, match=r"cells\.2\.json cannot be read"):
        Outbox(folder).waiting()


def test_a_label_is_named_when_it_is_nested_too_deep_or_leads_nowhere(folder: Path) -> None:
    label = folder / "cells.2.json"
    label.write_text("[" * 100_000)
    with pytest.raises(StateError, match=r"cells\.2\.json cannot be read"):
        Outbox(folder).waiting()
    label.unlink()
    label.symlink_to(label)
    with pytest.raises(StateError, match=r"cells\.2\.json cannot be read"):
        Outbox(folder).waiting()
