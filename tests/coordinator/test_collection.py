"""What is removed from the disk, and what never is."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.artifact_store import ArtifactStore
from coordinator.collection import ABANDONED_S, SETTLED_S, Collection, Mentioned, mentioned, released
from coordinator.database import open_database
from coordinator.rounds import JobState, LateUpdate, Lease, Member, Round
from coordinator.state import StateFolder, create_state, nothing_removed
from protos.artifacts import CHUNK_BYTES, WEIGHTS, Manifest, manifest_of
from protos.jobs import job_from_table

SPEC = job_from_table({"name": "job", "method": "fedavg"}, source="the test")
HOUR, DAY = 3600.0, 86_400.0


def round_of(number: int, *updates: str, model: str = "") -> Round:
    leases = {f"site-{index}": Lease("committed", 1, digest=digest) for index, digest in enumerate(updates)}
    return Round(number, 0.0, leases, global_digest=model, closed_at=1.0 if model else None)


def job(*rounds: Round, outcome: Any = None) -> JobState:
    return JobState("job", SPEC, 0.0, {"site-0": Member("joined")}, rounds=rounds, outcome=outcome)


def test_running_job_needs_its_models_and_the_updates_of_its_round() -> None:
    known = mentioned([job(round_of(1, "u1", "u2", model="g1"), round_of(2, "u3"))])
    assert known == Mentioned(needed=frozenset({"g1", "u3"}), settled=frozenset({"u1", "u2"}))


def test_job_that_is_over_needs_its_models_alone() -> None:
    known = mentioned([job(round_of(1, "u1", model="g1"), round_of(2, "u2"), outcome="cancelled")])
    assert known == Mentioned(needed=frozenset({"g1"}), settled=frozenset({"u1", "u2"}))


def test_late_update_stays_until_the_round_that_takes_it_is_over() -> None:
    late = {"site-1": LateUpdate(1, "late", 1.0, 8)}
    waiting = replace(job(round_of(1, "u1", "late", model="g1"), round_of(2, "u2")), late=late)
    taken = job(round_of(1, "u1", "late", model="g1"), replace(round_of(2, "u2"), late=late))
    over = job(*(taken.rounds[0], replace(taken.rounds[1], global_digest="g2", closed_at=2.0)), round_of(3))
    assert ["late" in mentioned([state]).needed for state in (waiting, taken, over)] == [True, True, False]
    assert "late" in mentioned([over]).settled


def test_update_of_a_closed_round_stays_where_it_is_another_jobs_or_a_model_too() -> None:
    over = job(round_of(1, "same", "kept", model="g1"), outcome="finished")
    known = mentioned([over, job(round_of(1, "same")), job(round_of(1, "x", model="kept"), round_of(2))])
    assert {"same", "kept"} <= known.needed
    assert known.settled == {"x"}


def test_claim_ends_an_hour_after_its_round_and_seven_days_after_nobody_heard_of_it() -> None:
    known = Mentioned(frozenset({"needed"}), frozenset({"settled"}))
    claims = {digest: {"a": 0.0} for digest in ("needed", "settled", "unheard")}
    assert released(known, claims, SETTLED_S) == []
    assert released(known, claims, SETTLED_S + 1) == [("a", "settled")]
    assert released(known, claims, ABANDONED_S + 1) == [("a", "settled"), ("a", "unheard")]
    assert ABANDONED_S == 7 * DAY


def test_each_site_has_a_claim_of_its_own_on_the_same_bytes() -> None:
    claims = {"settled": {"a": 0.0, "b": 2 * HOUR}}
    assert released(Mentioned(frozenset(), frozenset({"settled"})), claims, 2 * HOUR) == [("a", "settled")]


class Disk:
    """A store, what jobs need of it, and a clock that is set by the test."""

    def __init__(self, folder: Path) -> None:
        self.state: StateFolder = create_state(folder / "state")
        self.engine = open_database(self.state.database)
        self.jobs: list[JobState] = []
        self.source = folder / "source"
        self.open()

    def open(self) -> None:
        self.store = ArtifactStore(self.state.artifacts, self.state.partial, self.engine)
        self.collection = Collection(self.state, self.store, lambda: self.jobs)

    def content(self, number: int) -> Manifest:
        self.source.write_bytes(bytes([number]) * (2 * CHUNK_BYTES))
        return manifest_of(self.source, WEIGHTS)

    async def begin(self, site: str, number: int) -> Manifest:
        manifest = self.content(number)
        upload = await self.store.uploads.announce(site, manifest)
        await upload.put(0, bytes([number]) * CHUNK_BYTES)
        return manifest

    async def commit(self, site: str, number: int) -> str:
        manifest = await self.begin(site, number)
        upload = await self.store.uploads.announce(site, manifest)
        await upload.put(1, bytes([number]) * CHUNK_BYTES)
        await self.store.commit(site, manifest.digest)
        return manifest.digest

    def stored(self) -> set[str]:
        return {path.name for path in self.state.artifacts.glob("??/*")}

    async def after(self, seconds: float) -> None:
        await self.collection.collect(time.time() + seconds)


@pytest.fixture
def disk(tmp_path: Path) -> Any:
    disk = Disk(tmp_path)
    yield disk
    disk.engine.dispose()


def files(*digests: str) -> set[str]:
    return {name for digest in digests for name in (digest, f"{digest}.manifest")}


async def test_updates_of_a_closed_round_go_and_the_model_stays(disk: Disk) -> None:
    first, second, model = [await disk.commit("site-0", number) for number in range(3)]
    disk.jobs = [job(round_of(1, first, model=model), round_of(2, second))]
    await disk.after(2 * HOUR)
    assert disk.stored() == files(second, model)
    assert not disk.store.owned_by("site-0", first)
    assert await disk.commit("site-0", 0) == first  # should it be sent again, it is taken again


async def test_same_bytes_of_two_sites_stay_until_both_claims_are_over(disk: Disk) -> None:
    digest = await disk.commit("a", 1)
    assert await disk.commit("b", 1) == digest
    assert disk.stored() == files(digest)
    disk.jobs = [job(round_of(1, digest, model="g"), round_of(2))]
    with closing(sqlite3.connect(disk.state.database)) as connection, connection:
        connection.execute("UPDATE uploads SET used_at = used_at - 7200 WHERE site = 'a'")
    disk.open()
    await disk.after(0)
    assert (disk.store.owned_by("a", digest), disk.store.owned_by("b", digest)) == (False, True)
    assert disk.stored() == files(digest)
    await disk.after(2 * HOUR)
    assert disk.stored() == set()


async def test_artifact_that_was_asked_for_again_stays(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = await disk.commit("a", 1)
    disk.jobs = [job(round_of(1, digest, model="g"), round_of(2))]
    later = time.time() + 2 * HOUR
    with monkeypatch.context() as patch:
        patch.setattr("coordinator.artifact_store.time.time", lambda: later)
        assert disk.store.asked_again("a", digest)  # the same bytes once more, as the update of round 2
    disk.open()  # not even a restart forgets it
    await disk.collection.collect(later + 60)
    assert disk.stored() == files(digest)


async def test_half_an_upload_goes_seven_days_after_its_last_chunk(disk: Disk) -> None:
    manifest = await disk.begin("a", 1)
    await disk.after(ABANDONED_S - 60)
    assert (await disk.store.uploads.announce("a", manifest)).missing == 1
    await disk.after(ABANDONED_S + 60)
    assert list(disk.state.partial.glob("*/*")) == []
    assert (await disk.store.uploads.announce("a", manifest)).missing == 2


async def test_upload_that_was_just_announced_again_stays_whatever_its_age(disk: Disk) -> None:
    manifest = await disk.begin("a", 1)
    os.utime(disk.state.partial / "a" / manifest.digest / "data", (0, 0))
    disk.open()
    upload, _ = await asyncio.gather(disk.store.uploads.announce("a", manifest), disk.after(0))
    assert upload.missing == 1
    await upload.put(1, bytes([1]) * CHUNK_BYTES)
    await disk.store.commit("a", manifest.digest)


async def test_model_that_no_event_speaks_of_yet_stays(disk: Disk) -> None:
    disk.content(5)
    manifest = await disk.store.adopt(disk.source, WEIGHTS)
    await disk.after(365 * DAY)
    assert disk.stored() == files(manifest.digest)


async def test_what_a_power_cut_left_unclaimed_is_swept(disk: Disk) -> None:
    digest = await disk.commit("a", 1)
    manifest = disk.content(5)
    made = (await disk.store.adopt(disk.source, WEIGHTS)).digest
    assert made == manifest.digest
    disk.store.path(digest).unlink()  # a removal that was cut off between the two files
    disk.store.release([("a", digest)])
    disk.open()  # another process, which has not adopted anything
    await disk.after(0)
    assert disk.stored() == set()


async def test_commits_and_collections_at_once_leave_every_artifact_whole(disk: Disk) -> None:
    async def collect_often() -> None:
        while True:
            await disk.after(SETTLED_S / 2)
            await asyncio.sleep(0)

    collecting = asyncio.create_task(collect_often())
    for _ in range(8):
        digests = await asyncio.gather(*(disk.commit(site, 1) for site in ("a", "b", "c")))
        assert disk.stored() == files(digests[0])
        disk.store.release([(site, digests[0]) for site in ("a", "b", "c")])
    collecting.cancel()
    await asyncio.wait({collecting})


async def test_nothing_is_removed_while_a_backup_reads(disk: Disk) -> None:
    digest = await disk.commit("a", 1)
    with nothing_removed(disk.state):
        await disk.after(365 * DAY)
    assert disk.stored() == files(digest)
    await disk.after(365 * DAY)
    assert disk.stored() == set()


async def test_running_coordinator_collects_by_itself(
    tmp_path: Path, coordinator_at: Callable[..., Any], plant_at: Callable[..., Any]
) -> None:
    running = coordinator_at(tmp_path / "state")
    site = await plant_at(running, "plant-a", update=lambda number: {"w": np.full(8, number, np.float32)})
    async with running.operator() as operator:
        await operator.submit("two", rounds={"count": 2})
        await site.serve()
        history = (await operator.show("two")).history
    half, manifest = site.artifact({"w": np.zeros(CHUNK_BYTES, np.float32)}, "half")
    await site.has(manifest)
    await site.put(manifest, half, 0)
    running.stop()
    with closing(sqlite3.connect(running.state / "coordinator.sqlite")) as connection, connection:
        connection.execute("UPDATE uploads SET used_at = used_at - 7200")
    os.utime(running.state / "partial" / "plant-a" / manifest.digest / "data", (0, 0))
    running.start()
    models = {past.global_digest.hex() for past in history}
    async with asyncio.timeout(10):
        while list((running.state / "partial" / "plant-a").iterdir()):
            await asyncio.sleep(0.05)
    assert {path.name for path in (running.state / "artifacts").glob("??/*")} == files(*models)
    assert await site.download(history[-1].global_digest)
