"""A state folder that the first version made: `states/version-1.tar.xz`, with a finished job and one in round 2."""

from __future__ import annotations

import asyncio
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coordinator.collection import mentioned
from coordinator.database import open_database
from coordinator.event_log import EventLog
from coordinator.jobs import replay
from coordinator.migrations import MIGRATIONS, migrate
from coordinator.state import VERSION, StateFolder, create_state, open_state
from protos.errors import StateError
from protos.v1 import jobs_pb2

ARCHIVE = Path(__file__).parent / "states" / "version-1.tar.xz"
TABLES = {
    "events": "SELECT * FROM events",
    "sites": "SELECT * FROM sites",
    "certificates": "SELECT * FROM certificates",
    "invitations": "SELECT * FROM invitations",
    "uploads": "SELECT site, digest FROM uploads ORDER BY site, digest",
}


@pytest.fixture
def old(tmp_path: Path) -> StateFolder:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return StateFolder(tmp_path / "state")


def rows(database: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(database)) as connection:
        return {table: connection.execute(query).fetchall() for table, query in TABLES.items()}


def version_of(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_every_row_is_there_after_the_migration_and_a_copy_is_kept(old: StateFolder) -> None:
    before = rows(old.database)
    migrate(create_state(old.root))
    assert open_state(old.root) == old
    assert rows(old.database) == before
    assert rows(old.root / "coordinator.sqlite.v1") == before
    assert len(before["events"]) > 20
    engine = open_database(old.database)
    states = replay(EventLog(engine))
    engine.dispose()
    assert [(name, state.outcome, len(state.rounds)) for name, state in states.items()] == [
        ("done", "finished", 1),
        ("halfway", None, 2),
    ]
    assert mentioned(states.values()).needed == {digest for _, digest in before["uploads"]}


def test_nothing_happens_at_the_second_start(old: StateFolder) -> None:
    migrate(old)
    copy = old.root / "coordinator.sqlite.v1"
    copy.unlink()
    migrate(old)
    assert not copy.exists()


@pytest.mark.parametrize("moment", ["before the copy", "in the transaction", "before the version is written"])
def test_migration_that_was_cut_off_is_made_good(
    old: StateFolder, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    before = rows(old.database)

    class PowerCut(BaseException):
        pass

    def cut(*arguments: object, **named: object) -> None:
        raise PowerCut

    def cut_later(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM events")
        raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        if moment == "before the copy":
            patch.setattr("coordinator.migrations.copy_database", cut)
        elif moment == "in the transaction":
            patch.setattr("coordinator.migrations.MIGRATIONS", {1: cut_later})
        else:
            patch.setattr("coordinator.migrations.write_durably", cut)
        migrate(old)
    assert (old.root / "version").read_text() == "1\n"
    migrate(old)
    assert rows(old.database) == rows(old.root / "coordinator.sqlite.v1") == before
    assert (version_of(old.database), version_of(old.root / "coordinator.sqlite.v1")) == (2, 0)


def test_there_is_a_migration_from_every_earlier_version() -> None:
    assert sorted(MIGRATIONS) == list(range(1, int(VERSION)))


def test_damaged_database_is_told_and_stays_of_its_version(old: StateFolder) -> None:
    old.database.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(StateError, match="cannot be migrated from version 1: file is not a database"):
        migrate(old)
    assert (old.root / "version").read_text() == "1\n"


async def test_job_of_the_first_version_goes_on_to_its_end(
    old: StateFolder, coordinator_at: Callable[[Path], Any], plant_at: Callable[..., Any]
) -> None:
    running = coordinator_at(old.root)
    sites = [await plant_at(running, name) for name in ("plant-a", "plant-b")]
    await asyncio.gather(*(site.serve() for site in sites))
    async with running.operator() as operator:
        status = await operator.show("halfway")
        assert (await operator.show("done")).phase == jobs_pb2.JOB_PHASE_FINISHED
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert [list(past.committed) for past in status.history] == [["plant-a", "plant-b"]] * 2
