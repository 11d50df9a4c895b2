"""Engines on disk. What does not fit this machine, byte for byte and field for field, is as good as not there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edge_client.engines.key import EngineKey
from edge_client.engines.sidecar import Sidecar, machine_secret, sealed, unsealed
from edge_client.state import disk_errors, write_durably
from protos.errors import IntegrityError

MAX_BYTES = 4 << 30
"""All engines of a folder together; beyond it those go first that were not used for longest."""


@dataclass(frozen=True)
class Engine:
    """An engine that may be tried.

    Attributes:
        plan: its bytes, whose digest has been checked.
        sidecar: its record.
    """

    plan: bytes
    sidecar: Sidecar


@dataclass(frozen=True)
class Miss:
    """There is no engine to use.

    Attributes:
        reason: which fields of the key the nearest engine differs in, or why the one that is there is not trusted.
    """

    reason: str


class EngineCache:
    """A folder of engines, `MODEL-ONNX.PRECISION.KEY.engine` with a sidecar `.json` each.

    Args:
        folder: made where there is none.
        max_bytes: of all engines together.
    """

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._secret = machine_secret(folder)

    def path(self, model: str, key: EngineKey) -> Path:
        """Where an engine lies, whether or not it is there."""
        return self._folder / f"{model}-{key.onnx_sha256[:12]}.{key.precision}.{key.sha256[:12]}.engine"

    @contextmanager
    def lock(self, model: str, key: EngineKey) -> Iterator[None]:
        """Holds one engine for this process; another one that wants to build the same waits."""
        with disk_errors(self._folder):
            file = self.path(model, key).with_suffix(".lock").open("a")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def find(self, model: str, key: EngineKey) -> Engine | Miss:
        """The engine of exactly this key, and marks it as used.

        Raises:
            StateError: the folder cannot be read.
        """
        path = self.path(model, key)
        with disk_errors(self._folder):
            try:
                record, plan = _sidecar(path).read_bytes(), path.read_bytes()
            except FileNotFoundError:
                return Miss(self._nearest(model, key))
        try:
            sidecar = unsealed(record, self._secret)
        except IntegrityError as error:
            return Miss(f"{path.name} is not trusted: {error}")
        if differences := key.differences(sidecar.key):
            return Miss(f"{path.name} is of something else: {'; '.join(differences)}")
        if sha256(plan).hexdigest() != sidecar.engine_sha256:
            return Miss(f"{path.name} is not trusted: its bytes are not those that were built")
        os.utime(path)
        return Engine(plan, sidecar)

    def keep(self, model: str, key: EngineKey, plan: bytes, *, build_seconds: float, golden: tuple[float, ...]) -> None:
        """Stores an engine; the sidecar comes last, without which the engine does not count.

        Raises:
            StateError: the disk has no room.
        """
        path = self.path(model, key)
        sidecar = Sidecar(
            key=key,
            engine_sha256=sha256(plan).hexdigest(),
            engine_bytes=len(plan),
            build_seconds=round(build_seconds, 3),
            golden=golden,
        )
        self._make_room(len(plan))
        self.discard(model, key)
        write_durably(path, plan)
        write_durably(_sidecar(path), sealed(sidecar, self._secret))

    def discard(self, model: str, key: EngineKey) -> None:
        """Removes an engine."""
        _remove(self.path(model, key))

    def _nearest(self, model: str, key: EngineKey) -> str:
        nearest: list[str] | None = None
        for path in self._folder.glob(f"{model}-*.engine.json"):
            try:
                fields = key.differences(unsealed(path.read_bytes(), self._secret).key)
            except (OSError, IntegrityError):
                continue
            if nearest is None or len(fields) < len(nearest):
                nearest = fields
        if nearest is None:
            return f"there is no engine of {model} yet"
        return f"the nearest engine of {model} differs in {'; '.join(nearest) or 'nothing, but is gone'}"

    def _make_room(self, wanted: int) -> None:
        with disk_errors(self._folder):
            engines = sorted((path.stat().st_mtime_ns, path) for path in self._folder.glob("*.engine"))
            held = sum(path.stat().st_size for _, path in engines)
            for _, path in engines:
                if held + wanted <= self._max_bytes:
                    return
                held -= path.stat().st_size
                _remove(path)


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remove(path: Path) -> None:
    _sidecar(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
