"""The coordinator's tables. Artifacts are files, not rows; what a job did is its events and nothing else."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
)
from sqlalchemy import event as engine_event
from sqlalchemy.exc import DatabaseError

from protos.durable import sync_folder
from protos.errors import StateError

_METADATA = MetaData()

invitations = Table(
    "invitations",
    _METADATA,
    Column("secret_hash", LargeBinary, primary_key=True),  # SHA-256: the secret itself is known to the token alone
    Column("site", String, nullable=False),
    Column("expires", Float, nullable=False),
    Column("used_at", Float),
    Column("serial", String),  # of the certificate that it was traded for
)

certificates = Table(
    "certificates",
    _METADATA,
    Column("serial", String, primary_key=True),  # hex
    Column("site", String, nullable=False, index=True),
    Column("expires", Float, nullable=False),
    Column("revoked", Boolean, nullable=False, default=False),
    Column("pem", LargeBinary, nullable=False),
)

sites = Table(
    "sites",
    _METADATA,
    Column("site", String, primary_key=True),
    Column("last_seen", Float, nullable=False, default=0.0),
)

uploads = Table(
    "uploads",
    _METADATA,
    Column("site", String, primary_key=True),
    Column("digest", String, primary_key=True),
    Column("used_at", Float, nullable=False),  # when the site last asked for it
)

events = Table(
    "events",
    _METADATA,
    Column("number", Integer, primary_key=True),  # over all jobs: their order of submission is that of first events
    Column("job", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
)


def open_database(path: Path) -> Engine:
    """The engine on a SQLite file, with its tables. Raises `StateError` where the file cannot be used."""
    engine = create_engine(f"sqlite:///{path}")

    @engine_event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    with transaction(engine) as connection:
        _METADATA.create_all(connection)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction; once it is left it survives a power cut. Raises `StateError` on a full disk or a damaged file."""
    try:
        with engine.begin() as connection:
            yield connection
    except DatabaseError as error:
        raise StateError(
            f"the coordinator cannot use its database {engine.url.database}: {error.orig}; "
            "make room, or check who may write there"
        ) from error


def copy_database(source: Path, target: Path) -> None:
    """Copies a database to a file as it is at one moment, durably, while others may write to it.

    Raises:
        sqlite3.Error: either file cannot be used.
        OSError: the copy cannot be written.
    """
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(partial)) as written:
        read.backup(written)
        written.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)
