"""Backups: a tar of what a coordinator's state folder holds at one moment, with the digest of every file at its end.

Uploads on their way and the operator's credentials are not in it: sites send again what did not arrive, and the
coordinator makes the credentials anew at every start.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, BinaryIO

from blake3 import blake3
from sqlalchemy import select

from coordinator.backup_format import FORMAT, INDEX, Index, StoredFile, artifact_in, blocks_of, read_backup
from coordinator.collection import mentioned
from coordinator.database import copy_database, open_database, transaction, uploads
from coordinator.event_log import EventLog
from coordinator.jobs import replay
from coordinator.state import StateFolder, nothing_removed, room_on_disk
from protos.durable import sync_folder
from protos.errors import IntegrityError, InvalidInput, StateError


def back_up(state: StateFolder, target: Path) -> Index:
    """Writes a backup of a state folder, whether or not a coordinator runs on it, and reads it back.

    Raises:
        InvalidInput: the target exists.
        IntegrityError: an artifact is missing or damaged, or what was written is not what was read.
        StateError: the target cannot be written, or the state cannot be read.
    """
    if target.exists():
        raise InvalidInput(f"{target} exists; choose another name for the backup")
    partial = target.with_name(target.name + ".partial")
    try:
        with room_on_disk(f"the backup {target}"), nothing_removed(state):
            index = _write(state, partial)
            if read_backup(partial, _drained) != index:
                raise IntegrityError(f"{target} is not what was written; try another disk")
            partial.replace(target)
            sync_folder(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"the backup {target} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return index


def _drained(name: str, content: IO[bytes]) -> str:
    digest = blake3()
    for block in blocks_of(content):
        digest.update(block)
    return str(digest.hexdigest())


class _Hashed:
    """A file that hashes what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = blake3()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _write(state: StateFolder, partial: Path) -> Index:
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it holds the authority's key
    with (
        os.fdopen(descriptor, "wb") as file,
        tempfile.TemporaryDirectory(prefix=f".{partial.name}-", dir=partial.parent) as scratch,
    ):
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            files = {name: _add(archive, name, path) for name, path in _files(state, Path(scratch))}
            index = Index(
                FORMAT, datetime.now(UTC).isoformat(timespec="seconds"), f"edgefed {version('edgefed')}", files
            )
            words = Path(scratch) / INDEX
            words.write_text(json.dumps(asdict(index), indent=1))
            _add(archive, INDEX, words)
        file.flush()
        os.fsync(file.fileno())
    return index


def _files(state: StateFolder, scratch: Path) -> Iterator[tuple[str, Path]]:
    # The database first: artifacts only come while it is being read, and go only when nothing reads.
    database = scratch / "coordinator.sqlite"
    copy_database(state.database, database)
    yield "version", state.root / "version"
    for name in ("key.pem", "cert.pem"):
        yield f"ca/{name}", state.authority / name
    if (state.release / "key.pem").exists():  # not before its first start under a version that signs
        yield "release/key.pem", state.release / "key.pem"
    digests = _referenced(database)
    yield "coordinator.sqlite", database
    for digest in sorted(digests):
        name = f"artifacts/{digest[:2]}/{digest}"
        yield name, state.root / name
        yield f"{name}.manifest", state.root / f"{name}.manifest"


def _referenced(database: Path) -> set[str]:
    engine = open_database(database)
    try:
        with transaction(engine) as connection:
            claimed = set(connection.execute(select(uploads.c.digest)).scalars())
        return claimed | mentioned(replay(EventLog(engine)).values()).needed
    finally:
        engine.dispose()


def _add(archive: tarfile.TarFile, name: str, path: Path) -> StoredFile:
    with path.open("rb") as file:
        member = archive.gettarinfo(arcname=name, fileobj=file)
        member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
        hashed = _Hashed(file)
        archive.addfile(member, hashed)
    stored = StoredFile(member.size, str(hashed.digest.hexdigest()))
    if artifact_in(name) not in (None, stored.blake3):
        raise IntegrityError(f"{path} is damaged; the backup was not made")
    return stored
