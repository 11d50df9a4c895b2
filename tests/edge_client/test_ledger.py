import json
from pathlib import Path

import pytest

from edge_client.ledger import read_ledger, record
from protos.artifacts import MEMORY_BANK, Manifest
from protos.errors import IntegrityError


def note(path: Path, round_number: int) -> None:
    manifest = Manifest(f"{round_number:064x}", 1000 + round_number, MEMORY_BANK, (bytes(32),))
    record(path, manifest, job="cells", round_number=round_number, coordinator="c:7700", now=1_700_000_000.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    for round_number in (1, 2, 3):
        note(path, round_number)
    return path


def test_the_ledger_is_empty_before_anything_left(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "ledger.jsonl") == []


def test_a_line_says_what_left_when_and_where_to(ledger: Path) -> None:
    first, second, _ = read_ledger(ledger)
    assert (first.time, first.job, first.round, first.bytes) == ("2023-11-14T22:13:20+00:00", "cells", 1, 1001)
    assert (first.media_type, first.coordinator, first.digest) == (MEMORY_BANK, "c:7700", f"{1:064x}")
    assert first.previous == "0" * 64
    assert second.previous == first.hash


def test_a_repeat_adds_no_line_when_the_same_artifact_is_sent_again(ledger: Path) -> None:
    before = ledger.read_bytes()
    note(ledger, 2)
    assert ledger.read_bytes() == before


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("old", "new"), [("cells", "bells"), ('"bytes": 100', '"bytes": 900')])
def test_the_chain_breaks_when_a_line_is_changed(ledger: Path, number: int, old: str, new: str) -> None:
    lines = ledger.read_text().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(old, new)
    ledger.write_text("".join(lines))
    with pytest.raises(IntegrityError, match=f"line {number} of the ledger"):
        read_ledger(ledger)


def test_the_chain_breaks_when_a_line_is_removed(ledger: Path) -> None:
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(lines[0] + lines[2])
    with pytest.raises(IntegrityError, match="line 2 of the ledger"):
        read_ledger(ledger)


def test_the_chain_breaks_when_lines_are_swapped(ledger: Path) -> None:
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(lines[1] + lines[0] + lines[2])
    with pytest.raises(IntegrityError, match="line 1 of the ledger"):
        read_ledger(ledger)


@pytest.mark.parametrize("line", ["not json\n", "[]\n", "{}\n", json.dumps({"time": 1}) + "\n"])
def test_the_chain_breaks_when_a_line_is_none(ledger: Path, line: str) -> None:
    ledger.write_text(ledger.read_text() + line)
    with pytest.raises(IntegrityError, match="line 4 of the ledger"):
        read_ledger(ledger)


def test_half_a_line_is_replaced_when_a_power_cut_left_it(ledger: Path) -> None:
    ledger.write_text(ledger.read_text() + '{"time": "2023-11')
    assert len(read_ledger(ledger)) == 3
    note(ledger, 4)
    assert [entry.round for entry in read_ledger(ledger)] == [1, 2, 3, 4]


def test_nothing_is_added_when_the_chain_is_broken(ledger: Path) -> None:
    ledger.write_text(ledger.read_text().replace("cells", "bells", 1))
    before = ledger.read_bytes()
    with pytest.raises(IntegrityError):
        note(ledger, 4)
    assert ledger.read_bytes() == before


def test_a_line_that_is_nested_too_deep_breaks_the_chain(ledger: Path) -> None:
    with ledger.open("ab") as file:
        file.write(b"[" * 100_000 + b"\n")
    with pytest.raises(IntegrityError, match="line 4 of the ledger"):
        read_ledger(ledger)
