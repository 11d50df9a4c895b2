"""The site's state folder: its version, its lock, and where everything lies in it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from protos import durable
from protos.errors import InvalidInput, StateError
from protos.invitation import SITE_NAME

VERSION = "1"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class SiteState:
    """An opened state folder.

    Attributes:
        root: the folder; what lies in it is named by the properties.
    """

    root: Path

    @property
    def identity(self) -> Path:
        """Key, certificate, CA, and the coordinator's address."""
        return self.root / "identity"

    @property
    def outbox(self) -> Path:
        """Finished updates that the coordinator has not answered yet."""
        return self.root / "outbox"

    @property
    def artifacts(self) -> Path:
        """Global models from the coordinator, by digest, for as long as they are needed."""
        return self.root / "artifacts"

    @property
    def models(self) -> Path:
        """Installed detectors, a folder each, and `current`."""
        return self.root / "models"

    @property
    def ledger(self) -> Path:
        """The record of every artifact that left."""
        return self.root / "ledger.jsonl"

    @property
    def jobs(self) -> Path:
        """What this site keeps of its jobs, a folder each."""
        return self.root / "jobs"

    def job(self, job: str) -> Path:
        """The folder of one job. Raises `InvalidInput` where the name is not safe as a file name."""
        return self.jobs / check_job_name(job)

    def current_model(self) -> str | None:
        """The job whose detector the site runs, or None before the first one is installed."""
        try:
            return check_job_name((self.models / "current").read_text(errors="replace").strip())
        except FileNotFoundError:
            return None


def check_job_name(job: str) -> str:
    """Returns a job name that is safe as a file name, or raises `InvalidInput`."""
    if not SITE_NAME.fullmatch(job):
        raise InvalidInput(f"{job[:80]!r} is not a job name (a-z, 0-9 and '-', as in 'solar-cells')")
    return job


def default_root() -> Path:
    """The state folder where none is given: `$XDG_STATE_HOME/edgefed/client`."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "edgefed" / "client"


def is_site_folder(root: Path) -> bool:
    """Whether a site has joined here; `version` is written last, so a half-made folder is not one."""
    return (root / "version").is_file()


def open_state(root: Path) -> SiteState:
    """Opens a state folder that `join` made.

    Raises:
        InvalidInput: no site has joined there.
        StateError: another version of EdgeFed made it.
    """
    if not is_site_folder(root):
        raise InvalidInput(f"{root} is not the state folder of a site; run `edgefed client join --state {root}` first")
    found = (root / "version").read_text(errors="replace").strip()
    if found != VERSION:
        raise StateError(
            f"{root} has the state version {found[:20]!r}; this edgefed reads version {VERSION!r}: "
            "use the edgefed that made it, or join again with another --state"
        )
    return SiteState(root)


def model_folder(root: Path, job: str | None) -> Path:
    """The folder of an installed model: the job's, or where it is None the site's current one.

    Raises:
        InvalidInput: no site has joined there, or there is no such model.
        StateError: another version of EdgeFed made the state folder.
    """
    state = open_state(root)
    name = state.current_model() if job is None else check_job_name(job)
    if name is None:
        raise InvalidInput(f"no model is installed in {root} yet; `edgefed client run` installs one when a job ends")
    folder = state.models / name
    if not folder.is_dir():
        found = sorted(path.name for path in state.models.iterdir() if path.is_dir() and path.name[0] != ".")
        raise InvalidInput(f"there is no model of {name!r} in {root}; installed: {', '.join(found) or 'none'}")
    return folder


@contextmanager
def locked(state: SiteState) -> Iterator[None]:
    """Holds the folder for one process. Raises `StateError` where another one has it."""
    with disk_errors(state.root):
        file = (state.root / "lock").open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StateError(f"{state.root} is in use by another edgefed (process {holder}); stop it first") from error
        file.truncate(0)
        with suppress(OSError):  # a full disk is told where something has to be kept
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


def is_locked(state: SiteState) -> bool:
    """Whether an agent runs on this folder now."""
    try:
        file = (state.root / "lock").open("rb")  # for reading: a folder may be shown where nothing can be written
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replaces a small file whole or not at all. Raises `StateError` where the disk has no room."""
    with disk_errors(path.parent):
        durable.write_durably(path, data, mode=mode)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a disk without room, or a folder that cannot be written, into a `StateError` that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            free = shutil.disk_usage(folder).free
            raise StateError(f"no room left on the disk of {folder} ({free >> 20} MiB free); make room") from error
        raise StateError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
