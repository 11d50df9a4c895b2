"""The coordinator's state folder: its version, its lock, and where things lie in it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protos.durable import sync_folder, write_durably
from protos.errors import StateError

VERSION = "2"
_OLDER = frozenset({"1"})  # `coordinator/migrations.py` takes them on
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class StateFolder:
    """Paths in a state folder."""

    root: Path

    @property
    def authority(self) -> Path:
        """The folder of the certificate authority."""
        return self.root / "ca"

    @property
    def operator(self) -> Path:
        """The folder with what an operator needs to connect: key, certificate, CA, address."""
        return self.root / "operator"

    @property
    def release(self) -> Path:
        """The folder of the key that signs bundles."""
        return self.root / "release"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "coordinator.sqlite"

    @property
    def artifacts(self) -> Path:
        """The folder of whole, checked artifacts."""
        return self.root / "artifacts"

    @property
    def partial(self) -> Path:
        """The folder of artifacts on their way."""
        return self.root / "partial"


def default_state() -> Path:
    """`$XDG_STATE_HOME/edgefed/coordinator`."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "edgefed" / "coordinator"


def create_state(root: Path) -> StateFolder:
    """Makes a state folder where there is none; one of an earlier version is left for `migrations.migrate`.

    Raises:
        StateError: a newer version, not a state folder, or no permission.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (root / "version").exists():
            if any(entry.name != "version.partial" for entry in root.iterdir()):
                raise StateError(f"{root} holds other files and is not a coordinator's state; choose an empty folder")
            write_durably(root / "version", f"{VERSION}\n".encode())
        read_version(root)
        state = StateFolder(root)
        for folder in (state.authority, state.operator, state.release, state.artifacts, state.partial):
            folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(root)  # the CA in there must not be lost: no site would know its coordinator again
    except OSError as error:
        raise StateError(f"the state folder {root} cannot be used: {error.strerror}") from error
    return state


def open_state(root: Path) -> StateFolder:
    """Opens a state folder that a coordinator of this version has run on.

    Raises:
        StateError: there is none, or it is of another version.
    """
    if (version := read_version(root)) != VERSION:
        raise StateError(
            f"{root} is a state of version {version}; start the coordinator there once, which migrates it to "
            f"version {VERSION} and keeps a copy"
        )
    return StateFolder(root)


def read_version(root: Path) -> str:
    """The version of a state folder: this one or an earlier one.

    Raises:
        StateError: there is none, or it is of a version that this software does not know.
    """
    try:
        version = (root / "version").read_text().strip()
    except FileNotFoundError:
        hint = "start the coordinator there once: edgefed coordinator start --state"
        raise StateError(f"{root} is not a coordinator's state; {hint} {root}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"the state folder {root} cannot be read: {error}") from error
    if version != VERSION and version not in _OLDER:
        raise StateError(
            f"{root} is a state of version {version[:20]!r} and this software reads version {VERSION} and migrates "
            f"{', '.join(sorted(_OLDER))}; use the release that made it, or another folder"
        )
    return version


@contextmanager
def locked(state: StateFolder) -> Iterator[None]:
    """Holds a state folder for one process. Raises `StateError` where another one holds it."""
    with (state.root / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(f"another coordinator is running on {state.root}; stop it first") from None
        yield


@contextmanager
def nothing_removed(state: StateFolder) -> Iterator[None]:
    """Keeps every artifact where it is while a process reads them, as a backup does."""
    with (state.root / "artifacts.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def may_remove(state: StateFolder) -> Iterator[bool]:
    """Whether artifacts may be removed now: not while `nothing_removed` is held elsewhere."""
    with (state.root / "artifacts.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def room_on_disk(what: str) -> Iterator[None]:
    """Turns a full disk into a `StateError` that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StateError(
            f"no room on the coordinator's disk for {what}: {error.strerror}; make room, it then goes on"
        ) from error
