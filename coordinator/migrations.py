"""What turns a state folder of an earlier version into one of this version, when a coordinator starts on it."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing

from coordinator.database import copy_database
from coordinator.state import VERSION, StateFolder, read_version, room_on_disk
from protos.durable import write_durably
from protos.errors import StateError

_LOG = logging.getLogger("coordinator")

Migration = Callable[[sqlite3.Connection], None]


def migrate(state: StateFolder) -> None:
    """Brings a folder to this version, one version at a time; the database of each stays as `coordinator.sqlite.vN`.

    The caller holds the folder's lock. After a power cut at any moment the next call goes on where this one was.

    Raises:
        StateError: no room for the copy, or the database is damaged.
    """
    while (version := read_version(state.root)) != VERSION:
        number = int(version)
        _LOG.info("migrating %s from version %d; its database stays as it was in %s.v%d",
                  state.root, number, state.database, number)  # fmt: skip
        with room_on_disk("migrating its state"):
            if state.database.exists():
                _migrate_database(state, number)
            write_durably(state.root / "version", f"{number + 1}\n".encode())


def _migrate_database(state: StateFolder, number: int) -> None:
    try:
        with closing(sqlite3.connect(state.database, isolation_level=None)) as connection:
            # Within the database, and so within the transaction, for the folder's own version is written after it.
            if connection.execute("PRAGMA user_version").fetchone()[0] > number:
                return
            copy_database(state.database, state.database.with_name(f"{state.database.name}.v{number}"))
            connection.execute("BEGIN IMMEDIATE")
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StateError(f"{state.database} cannot be migrated from version {number}: {error}; make room") from error


def _uploads_have_times(connection: sqlite3.Connection) -> None:
    # Of version 1 nobody knows when an upload was last asked for; it is kept as long as one of today.
    connection.execute("ALTER TABLE uploads ADD COLUMN used_at FLOAT NOT NULL DEFAULT 0")
    connection.execute("UPDATE uploads SET used_at = ?", (time.time(),))


MIGRATIONS: Mapping[int, Migration] = {1: _uploads_have_times}
"""From each earlier version to the one after it, within one transaction."""
