"""A state folder made from a backup."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from blake3 import blake3

from coordinator.backup_format import Index, blocks_of, read_backup
from coordinator.state import read_version, room_on_disk
from protos.durable import sync_folder
from protos.errors import InvalidInput, StateError

_STAGING = ".restoring"


def restore(backup: Path, root: Path) -> Index:
    """Makes `root` the state folder that a backup holds: all of it, or nothing.

    Raises:
        InvalidInput: there is no such backup, or the folder holds something.
        IntegrityError: the backup is damaged or holds something else.
        StateError: the folder cannot be written, or the state is of a version that this software does not know.
    """
    if not backup.is_file():
        raise InvalidInput(f"there is no backup {backup}")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InvalidInput(f"{root} is not an empty folder; a backup is restored into one, or into one that is made")
    try:
        with room_on_disk(f"the backup {backup}"), _staging(root) as staging:
            index = read_backup(backup, lambda name, content: _extract(staging / name, content))
            read_version(staging)
            _move(staging, root)
    except OSError as error:
        raise StateError(f"{backup} cannot be restored to {root}: {error}") from error
    return index


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    existed = root.exists()
    staging = root / _STAGING
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        staging.mkdir(mode=0o700)
        yield staging
    except BaseException:
        for entry in root.iterdir() if root.is_dir() else ():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not existed and root.is_dir():
            root.rmdir()
        raise


def _extract(path: Path, content: IO[bytes]) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = blake3()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for block in blocks_of(content):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return str(digest.hexdigest())


def _move(staging: Path, root: Path) -> None:
    for folder in (path for path in staging.rglob("*") if path.is_dir()):
        sync_folder(folder)
    # The version last, for it is what makes the folder a state.
    for entry in sorted(staging.iterdir(), key=lambda path: path.name == "version"):
        entry.rename(root / entry.name)
        sync_folder(root)
    staging.rmdir()
