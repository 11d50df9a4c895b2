"""The ledger: one line for every artifact that left the site, each line bound to the one before by its hash.

A line is written before the first byte is sent, so that nothing can leave unrecorded, not even through a power cut.
A changed, swapped or removed line breaks the chain; only lines cut from the end leave no trace in the file itself,
which is why an auditor keeps the last hash elsewhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from blake3 import blake3

from edge_client.state import disk_errors
from protos.artifacts import Manifest
from protos.durable import sync_folder
from protos.errors import IntegrityError

_START = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One artifact that left.

    Attributes:
        time: when, in UTC, as ISO 8601.
        job: for which job.
        round: of that job.
        media_type: what kind of artifact.
        bytes: its size.
        digest: its BLAKE3.
        coordinator: HOST:PORT it went to.
        previous: hash of the line before; zeros in the first line.
        hash: BLAKE3 of this line without this field.
    """

    time: str
    job: str
    round: int
    media_type: str
    bytes: int
    digest: str
    coordinator: str
    previous: str
    hash: str


def read_ledger(path: Path) -> list[Entry]:
    """All lines, in order, after the chain was verified; empty before the first artifact left.

    Raises:
        IntegrityError: a line was changed, moved or removed; the message names the first bad one.
    """
    entries: list[Entry] = []
    previous = _START
    for number, line in enumerate(_complete_lines(path), start=1):
        entry = _entry(line)
        if entry is None or entry.previous != previous or entry.hash != _hash_of(entry):
            raise IntegrityError(
                f"line {number} of the ledger {path} does not fit the chain: it, or a line before it, was changed or "
                "removed; compare with a backup"
            )
        entries.append(entry)
        previous = entry.hash
    return entries


def record(path: Path, manifest: Manifest, *, job: str, round_number: int, coordinator: str, now: float) -> None:
    """Appends a line, durably; a repeat for the same artifact of the same round adds none.

    Raises:
        IntegrityError: the chain is broken.
        StateError: the disk is full.
    """
    entries = read_ledger(path)
    if any((entry.job, entry.round, entry.digest) == (job, round_number, manifest.digest) for entry in entries):
        return
    entry = Entry(
        time=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        job=job,
        round=round_number,
        media_type=manifest.media_type,
        bytes=manifest.size,
        digest=manifest.digest,
        coordinator=coordinator,
        previous=entries[-1].hash if entries else _START,
        hash="",
    )
    line = json.dumps({**asdict(entry), "hash": _hash_of(entry)}) + "\n"
    with disk_errors(path.parent), path.open("ab") as file:
        # A power cut can leave half a line, of an artifact that was then never sent: the new line takes its place.
        file.truncate(_complete_bytes(path))
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())
        sync_folder(path.parent)  # the first line makes the file


def _hash_of(entry: Entry) -> str:
    fields = {name: value for name, value in asdict(entry).items() if name != "hash"}
    return blake3(json.dumps(fields).encode()).hexdigest()


def _complete_bytes(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0


def _complete_lines(path: Path) -> list[bytes]:
    return path.read_bytes()[: _complete_bytes(path)].splitlines() if path.exists() else []


def _entry(line: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
