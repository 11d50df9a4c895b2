"""The coordinator's tables. Artifacts are files, not rows; what a job did is its events and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
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
    """The engine on a SQLite file, with its tables; a transaction that has returned survives a power cut."""
    engine = create_engine(f"sqlite:///{path}")

    @engine_event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    _METADATA.create_all(engine)
    return engine
