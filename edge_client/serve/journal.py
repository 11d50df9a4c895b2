"""Which files of a watched folder were judged, kept through restarts and power cuts."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from protos.errors import StateError

FILE = ".edgefed-journal.sqlite"


class Seen(NamedTuple):
    """A file as it was at one moment; another size or time of change is another image.

    Attributes:
        size: bytes.
        modified: nanoseconds since 1970.
    """

    size: int
    modified: int


class Journal:
    """Of one folder of results, for one process.

    Args:
        folder: of the results.

    Raises:
        StateError: another process has it, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            self._table = sqlite3.connect(self._path, isolation_level=None, timeout=0, check_same_thread=False)
            self._table.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._table.execute("PRAGMA synchronous = FULL")
            self._table.execute("BEGIN EXCLUSIVE")  # the lock is kept from here on
            self._table.execute("CREATE TABLE IF NOT EXISTS judged (name BLOB PRIMARY KEY, size INT, modified INT)")
            self._table.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateError(f"{self._path} cannot be used: {error}; is another server on this folder?") from error

    def holds(self, name: str, seen: Seen) -> bool:
        """Whether this file was judged as it is now."""
        # Names are kept as bytes: on a disk they need not be text.
        row = self._table.execute("SELECT size, modified FROM judged WHERE name = ?", (os.fsencode(name),)).fetchone()
        return bool(row == tuple(seen))

    def note(self, name: str, seen: Seen) -> None:
        """Keeps that this file was judged.

        Raises:
            StateError: there is no room.
        """
        try:
            self._table.execute("INSERT OR REPLACE INTO judged VALUES (?, ?, ?)", (os.fsencode(name), *seen))
        except sqlite3.Error as error:
            raise StateError(f"{self._path} cannot be written: {error}") from error

    def close(self) -> None:
        """Gives the folder back."""
        self._table.close()
