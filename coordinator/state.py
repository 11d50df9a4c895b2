"""The coordinator's state folder: its version, its lock, and where things lie in it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protos.durable import write_durably
from protos.errors import StateError

VERSION = "1"
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
    """Opens a state folder and makes it where there is none.

    Raises:
        StateError: another version, not a state folder, or no permission.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (root / "version").exists():
            if any(entry.name != "version.partial" for entry in root.iterdir()):
                raise StateError(f"{root} holds other files and is not a coordinator's state; choose an empty folder")
            write_durably(root / "version", f"{VERSION}\n".encode())
        state = open_state(root)
        for folder in (state.authority, state.operator, state.artifacts, state.partial):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateError(f"the state folder {root} cannot be used: {error.strerror}") from error
    return state


def open_state(root: Path) -> StateFolder:
    """Opens a state folder that a coordinator has made.

    Raises:
        StateError: there is none, or it is of another version.
    """
    try:
        version = (root / "version").read_text().strip()
    except FileNotFoundError:
        hint = "start the coordinator there once: edgefed coordinator start --state"
        raise StateError(f"{root} is not a coordinator's state; {hint} {root}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"the state folder {root} cannot be read: {error}") from error
    if version != VERSION:
        raise StateError(
            f"{root} is a state of version {version[:20]!r} and this software reads version {VERSION}; "
            "use the release that made it, or another folder"
        )
    return StateFolder(root)


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
def room_on_disk(what: str) -> Iterator[None]:
    """Turns a full disk into a `StateError` that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StateError(
            f"no room on the coordinator's disk for {what}: {error.strerror}; make room, the upload then goes on"
        ) from error
