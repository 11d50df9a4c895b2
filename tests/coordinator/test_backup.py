"""A backup of a running coordinator, and what it is good for."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.backup import back_up
from coordinator.collection import mentioned
from coordinator.database import open_database
from coordinator.event_log import EventLog
from coordinator.jobs import replay
from coordinator.restore import restore
from coordinator.state import open_state
from protos.artifacts import digest_of_file
from protos.errors import IntegrityError, InvalidInput, StateError
from protos.v1 import enrolment_pb2, jobs_pb2

ROUNDS = 3


def training(seed: int) -> Callable[[int], dict[str, np.ndarray]]:
    return lambda number: {"w": np.random.default_rng([seed, number]).random(300_000, dtype=np.float32)}


def log_of(state: Path, job: str) -> list[tuple[str, dict[str, Any]]]:
    with closing(sqlite3.connect(state / "coordinator.sqlite")) as connection:
        rows = connection.execute("SELECT kind, body FROM events WHERE job = ? ORDER BY number", (job,)).fetchall()
    return [(kind, json.loads(body)) for kind, body in rows]


def committed(state: Path, job: str) -> list[tuple[int, str]]:
    return sorted((body["round"], body["site"]) for kind, body in log_of(state, job) if kind == "UpdateCommitted")


async def started(running: Any, plant_at: Any, job: str) -> tuple[list[Any], asyncio.Future[Any]]:
    """A job of two sites that are at work."""
    sites = [await plant_at(running, f"{job}-{letter}", update=training(seed)) for seed, letter in enumerate("ab")]
    async with running.operator() as operator:
        await operator.submit(job, seed=7, rounds={"count": ROUNDS, "sites": [site.name for site in sites]})
    return sites, asyncio.gather(*(site.serve() for site in sites))


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not look():
            await asyncio.sleep(0.005)


async def models_of(running: Any, job: str) -> list[str]:
    async with running.operator() as operator:
        status = await operator.show(job)
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    return [past.global_digest.hex() for past in status.history]


async def undisturbed(coordinator_at: Any, plant_at: Any, state: Path) -> list[str]:
    calm = coordinator_at(state)
    _, working = await started(calm, plant_at, "job")
    await working
    models = await models_of(calm, "job")
    calm.stop()
    return models


def restored(lost: Any, coordinator_at: Any, cli: Any, backup: Path, state: Path) -> Any:
    """The old coordinator is gone for good; a new one starts from the backup at the same address."""
    lost.kill()
    assert cli("restore", str(backup), "--state", str(state)).returncode == 0
    return coordinator_at(state, port=lost.port)


async def test_restored_coordinator_goes_on_in_the_middle_of_a_round(
    coordinator_at: Any, plant_at: Any, cli: Any, tmp_path: Path
) -> None:
    expected = await undisturbed(coordinator_at, plant_at, tmp_path / "calm")
    lost = coordinator_at(tmp_path / "lost")
    _, working = await started(lost, plant_at, "job")
    await until(lambda: len(committed(lost.state, "job")) >= 3)
    made = await asyncio.to_thread(cli, "backup", str(tmp_path / "b.tar"), "--state", str(lost.state), "--json")
    assert (made.returncode, json.loads(made.stdout)["backup"]) == (0, str(tmp_path / "b.tar"))
    assert "holds the key of the certificate authority" in made.stderr
    fresh = restored(lost, coordinator_at, cli, tmp_path / "b.tar", tmp_path / "fresh")
    await working
    assert await models_of(fresh, "job") == expected


async def test_sites_that_are_ahead_of_the_backup_deliver_again_and_count_once(
    coordinator_at: Any, plant_at: Any, cli: Any, tmp_path: Path
) -> None:
    expected = await undisturbed(coordinator_at, plant_at, tmp_path / "calm")
    lost = coordinator_at(tmp_path / "lost")
    sites, working = await started(lost, plant_at, "job")
    await until(lambda: len(committed(lost.state, "job")) >= 1)
    back_up(open_state(lost.state), tmp_path / "b.tar")
    await until(lambda: len(committed(lost.state, "job")) >= 4)
    fresh = restored(lost, coordinator_at, cli, tmp_path / "b.tar", tmp_path / "fresh")
    assert len(committed(fresh.state, "job")) < len(committed(lost.state, "job"))
    await working
    assert await models_of(fresh, "job") == expected
    assert committed(fresh.state, "job") == [(n, site.name) for n in range(1, ROUNDS + 1) for site in sites]


async def test_site_that_renewed_its_certificate_since_is_known_and_one_that_joined_is_not(
    coordinator_at: Any, plant_at: Any, cli: Any, tmp_path: Path, request_der: Callable[[Any], bytes]
) -> None:
    lost = coordinator_at(tmp_path / "lost")
    renewing = await plant_at(lost, "renewing")
    back_up(open_state(lost.state), tmp_path / "b.tar")
    await asyncio.sleep(1.1)  # certificates live by the second
    reply = await renewing.enrolment.Renew(enrolment_pb2.RenewRequest(csr_der=request_der(renewing.key)))
    late = await plant_at(lost, "late")
    restored(lost, coordinator_at, cli, tmp_path / "b.tar", tmp_path / "fresh")
    await renewing.close()
    renewing.certificate = reply.certificate_pem
    renewing.dial()
    assert (await renewing.next_work(wait_s=0)).WhichOneof("work") is None
    with pytest.raises(Exception, match="the certificate of late has been revoked"):
        await late.next_work(wait_s=0)


async def test_every_backup_under_load_is_whole_and_consistent(
    coordinator_at: Any, plant_at: Any, tmp_path: Path
) -> None:
    running = coordinator_at(tmp_path / "state")
    _, working = await started(running, plant_at, "job")
    made = 0
    while not working.done():
        await asyncio.to_thread(back_up, open_state(running.state), tmp_path / f"{made}.tar")
        made += 1
    await working
    assert made >= 3
    for number in range(made):
        state = tmp_path / f"restored-{number}"
        restore(tmp_path / f"{number}.tar", state)
        engine = open_database(state / "coordinator.sqlite")
        needed = mentioned(replay(EventLog(engine)).values()).needed
        engine.dispose()
        for digest in needed:
            assert digest_of_file(state / "artifacts" / digest[:2] / digest) == digest


@pytest.fixture
def backup(coordinator: Any, tmp_path: Path) -> Path:
    back_up(open_state(coordinator.state), tmp_path / "b.tar")
    return tmp_path / "b.tar"


def test_backup_is_for_its_owner_alone_and_never_in_anothers_place(coordinator: Any, backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    before = backup.read_bytes()
    with pytest.raises(InvalidInput, match="exists; choose another name"):
        back_up(open_state(coordinator.state), backup)
    assert backup.read_bytes() == before
    assert [path.name for path in backup.parent.iterdir()] == ["b.tar"]


def test_backup_into_a_folder_that_is_not_there_is_told(coordinator: Any, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be written"):
        back_up(open_state(coordinator.state), tmp_path / "nowhere" / "b.tar")


def test_restored_state_is_for_its_owner_alone(backup: Path, tmp_path: Path) -> None:
    root = tmp_path / "state"
    restore(backup, root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "ca" / "key.pem").stat().st_mode) == 0o600
    assert open_state(root).root == root


def test_folder_that_holds_something_is_left_alone(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="is not an empty folder"):
        restore(backup, tmp_path / "state")
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["thesis.txt"]


def test_empty_folder_is_taken_and_emptied_again_after_a_failure(backup: Path, tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir()
    whole = backup.read_bytes()
    backup.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match=r"not a backup, or is damaged|its end is missing"):
        restore(backup, root)
    assert list(root.iterdir()) == []
    backup.write_bytes(whole)
    restore(backup, root)
    assert open_state(root).root == root


async def test_damaged_artifact_is_told_by_name_before_a_backup_is_made(
    coordinator_at: Any, plant_at: Any, tmp_path: Path
) -> None:
    running = coordinator_at(tmp_path / "state")
    site = await plant_at(running, "plant-a")
    digest = await site.leave({"w": np.ones(8, np.float32)})
    path = running.state / "artifacts" / digest[:2] / digest
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=f"{digest} is damaged"):
        back_up(open_state(running.state), tmp_path / "b.tar")
    path.unlink()
    with pytest.raises(StateError, match=digest):
        back_up(open_state(running.state), tmp_path / "b.tar")
    assert not list(tmp_path.glob("*.tar*"))


def test_missing_backup_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no backup"):
        restore(tmp_path / "b.tar", tmp_path / "state")
