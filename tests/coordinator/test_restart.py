"""kill -9 at any moment: the job goes on, and its result is the same to the byte."""

from __future__ import annotations

import asyncio
import sqlite3

import numpy as np

from protos.v1 import jobs_pb2

ROUNDS = 2


def training(seed: int):
    return lambda number: {"w": np.random.default_rng([seed, number]).random(400_000, dtype=np.float32)}


async def run_job(coordinator, plant, name: str, meanwhile=None) -> tuple[jobs_pb2.JobStatus, list[str]]:
    """Runs a job of two sites to the end; its status and the digests of its rounds' globals."""
    sites = [await plant(f"{name}-{letter}", update=training(seed)) for seed, letter in enumerate("ab")]
    async with coordinator.operator() as operator:
        await operator.submit(name, rounds={"count": ROUNDS, "sites": [site.name for site in sites]})
    working = asyncio.gather(*(site.serve() for site in sites))
    if meanwhile is not None:
        await meanwhile(working)
    await working
    async with coordinator.operator() as operator:
        status = await operator.show(name)
    return status, [past.global_digest.hex() for past in status.history]


def events_of(coordinator, job: str) -> list[str]:
    connection = sqlite3.connect(coordinator.state / "coordinator.sqlite")
    rows = connection.execute("SELECT kind FROM events WHERE job = ? ORDER BY number", (job,)).fetchall()
    connection.close()
    return [kind for (kind,) in rows]


async def test_killed_after_event_upon_event_the_result_is_the_same(coordinator, plant) -> None:
    _, undisturbed = await run_job(coordinator, plant, "calm")
    kills = 0

    async def kill_often(working: asyncio.Future[list[None]]) -> None:
        nonlocal kills
        seen = 0
        while not working.done():
            if len(events_of(coordinator, "storm")) > seen + 2:
                coordinator.kill()
                await asyncio.to_thread(coordinator.start)
                kills += 1
                seen = len(events_of(coordinator, "storm"))
            await asyncio.sleep(0.005)

    status, disturbed = await run_job(coordinator, plant, "storm", kill_often)
    assert kills >= 3
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert disturbed == undisturbed
    assert events_of(coordinator, "storm").count("UpdateCommitted") == 2 * ROUNDS


async def test_upload_goes_on_after_a_restart_without_sending_again(coordinator, plant) -> None:
    site = await plant("resumer")
    path, manifest = site.artifact({"w": np.arange(1_000_000, dtype=np.float32)})
    await site.has(manifest)
    for index in (0, 2):
        await site.put(manifest, path, index)
    coordinator.kill()
    coordinator.start()
    assert (await site.has(manifest)).bitmap == bytes([0b101])
    for index in (1, 3):
        await site.put(manifest, path, index)
    assert (await site.commit(manifest)).size == path.stat().st_size
    assert (await site.has(manifest)).committed


async def test_stopped_coordinator_leaves_no_process_and_goes_on_later(coordinator, plant) -> None:
    site = await plant("paused-a")
    async with coordinator.operator() as operator:
        await operator.submit("paused", rounds={"count": 1, "sites": ["paused-a"]})
    lease = await site.lease("paused")
    assert coordinator.stop() == 0
    coordinator.start()
    again = (await site.next_work()).train
    assert again == lease
    assert (await site.train(again)).accepted
    async with coordinator.operator() as operator:
        assert (await operator.watch("paused")).phase == jobs_pb2.JOB_PHASE_FINISHED
