"""Round policies on a real coordinator process: late updates, buffers, deadlines, leaving, several jobs at once."""

from __future__ import annotations

import asyncio
import queue
import threading
import time

import grpc
import numpy as np
import pytest
from grpc import aio

from coordinator.watch import statuses
from protos.tensors import read_tensors
from protos.v1 import jobs_pb2, work_pb2


def constant(value: float):
    return lambda number: {"w": np.full(8, value * number, np.float32)}


async def joined(plant, operator, job: str, *names: str, **policy):
    """Sites that hold a lease of the job's first round, and their leases."""
    sites = [await plant(f"{job}-{name}", update=constant(i)) for i, name in enumerate(names, start=1)]
    await operator.submit(job, rounds={"count": 2, "sites": [site.name for site in sites], **policy})
    for site in sites:
        await site.accept(job)
    return [(site, (await site.next_work()).train) for site in sites]


async def beat(site, train, step: int = 0) -> work_pb2.HeartbeatReply:
    request = work_pb2.HeartbeatRequest(
        job=train.job, round=train.round, epoch=train.epoch, stage="training", step=step, steps=10
    )
    return await site.work.Heartbeat(request)


async def global_of(site, operator, job: str, tmp_path) -> float:
    status = await operator.show(job)
    (tmp_path / "global").write_bytes(await site.download(status.global_digest))
    return float(read_tensors(tmp_path / "global")["w"][0])


async def test_late_update_is_told_where_it_counts(plant, operator, tmp_path) -> None:
    policy = {"quorum": 2, "progress_s": 4.0, "late": "next-round", "staleness": 1.0}
    (a, of_a), (b, of_b), (c, of_c) = await joined(plant, operator, "late", "a", "b", "c", **policy)
    await a.train(of_a)
    await b.train(of_b)
    second = [(await site.next_work()).train for site in (a, b)]  # round 1 has gone on without c
    assert [train.round for train in second] == [2, 2]
    assert (await beat(c, of_c, 3)).lease_valid
    digest = await c.leave(c.update(1))
    told = await c.submit(of_c, digest)
    assert (told.accepted, told.reason) == (True, "round 1 was over; it is kept for the next round")
    for site, train in zip((a, b), second, strict=True):
        await site.train(train)
    status = await operator.watch("late")
    assert status.history[1].remarks == {"late-c": "its update of round 1 came late and counts 0.5"}
    assert (await c.submit(of_c, digest)).reason == "round 1 was over; it counts 0.5 in round 2"
    # a: 1 * 2, b: 2 * 2, c: 3 * 1 at half the weight
    assert await global_of(a, operator, "late", tmp_path) == pytest.approx((2 + 4 + 0.5 * 3) / 2.5)


async def test_late_update_is_dropped_with_the_reason(plant, operator) -> None:
    (a, of_a), (b, of_b) = await joined(plant, operator, "dropped", "a", "b", quorum=1, deadline_s=4.0)
    await a.train(of_a)
    assert (await a.next_work()).train.round == 2
    told = await b.train(of_b)
    assert not told.accepted
    assert "round 1 of job dropped went on without dropped-b: had not" in told.reason
    assert not (await beat(b, of_b)).lease_valid
    await operator.jobs.CancelJob(jobs_pb2.CancelJobRequest(job="dropped"))


async def test_asynchronous_job_does_not_wait_for_stragglers(plant, operator, tmp_path) -> None:
    policy = {"buffer": 2, "late": "next-round", "staleness": 0.0}
    (a, of_a), (b, of_b), (c, of_c) = await joined(plant, operator, "buffered", "a", "b", "c", **policy)
    await a.train(of_a)
    await b.train(of_b)
    again = (await a.next_work()).train
    assert again.round == 2
    assert (await beat(c, of_c, 1)).lease_valid
    shown = {site.site: (site.state, site.reason) for site in (await operator.show("buffered")).sites}
    assert shown["buffered-c"] == ("training", "still for round 1")
    await c.train(of_c)
    await a.train(again)
    status = await operator.watch("buffered")
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert list(status.history[1].committed) == ["buffered-a"]
    assert list(status.history[1].remarks) == ["buffered-c"]
    assert await global_of(a, operator, "buffered", tmp_path) == pytest.approx((2 + 3) / 2)


async def test_round_waits_for_its_quorum_and_says_so(plant, operator) -> None:
    (a, of_a), (b, of_b) = await joined(plant, operator, "short", "a", "b", short="wait", progress_s=10.0, count=1)
    await a.train(of_a)
    fail = work_pb2.FailRoundRequest(job="short", round=1, epoch=of_b.epoch, reason="no room on the disk")
    await b.work.FailRound(fail)
    status = await operator.show("short")
    assert status.reason.startswith("waits for its quorum: only 1 of 2 sites delivered")
    assert "short-b: no room on the disk" in status.reason
    again = (await b.next_work()).train
    assert (again.round, again.epoch) == (1, 2)
    assert (await b.train(again)).accepted
    assert (await operator.watch("short")).phase == jobs_pb2.JOB_PHASE_FINISHED


async def test_site_leaves_and_another_comes_in_between_rounds(plant, operator) -> None:
    (a, of_a), (b, of_b) = await joined(plant, operator, "open", "a", "b")
    new = await plant("open-new")
    await operator.jobs.InviteSite(jobs_pb2.InviteSiteRequest(job="open", site="open-new"))
    assert (await new.next_work()).WhichOneof("work") == "prepare"
    await new.accept("open")
    await b.work.LeaveJob(work_pb2.LeaveJobRequest(job="open", reason="line is being rebuilt"))
    reply = await beat(b, of_b)
    assert (reply.lease_valid, reply.reason) == (False, "open-b has left job open: line is being rebuilt")
    await a.train(of_a)
    for site in (a, new):
        await site.train((await site.next_work()).train)
    status = await operator.watch("open")
    assert [list(past.committed) for past in status.history] == [["open-a"], ["open-a", "open-new"]]
    assert dict(status.history[0].missing)["open-b"] == "line is being rebuilt"


async def test_stranger_cannot_be_invited_and_an_ended_job_takes_nobody(plant, operator) -> None:
    ((a, _),) = await joined(plant, operator, "closed", "a")
    for job, site, match in (("closed", "nobody", "not enrolled"), ("nojob", a.name, "no job"), ("x" * 300, "y", "no")):
        with pytest.raises(aio.AioRpcError, match=match):
            await operator.jobs.InviteSite(jobs_pb2.InviteSiteRequest(job=job, site=site))
    await operator.jobs.CancelJob(jobs_pb2.CancelJobRequest(job="closed"))
    with pytest.raises(aio.AioRpcError, match="is over"):
        await operator.jobs.InviteSite(jobs_pb2.InviteSiteRequest(job="closed", site=a.name))


async def test_site_at_work_on_one_job_is_waited_for_by_another(plant, operator) -> None:
    site = await plant("busy-a")
    for job in ("first", "second", "third"):
        await operator.submit(job, rounds={"count": 1, "sites": ["busy-a"], "gather_s": 2.0, "progress_s": 2.0})
    train = await site.lease("first")
    await site.accept("second")
    for step in range(12):  # for longer than the others wait for a silent site
        await asyncio.sleep(0.3)
        reply = await beat(site, train, step)
        assert reply.lease_valid
    assert sorted(reply.queued_jobs) == ["second", "third"]
    assert (await operator.show("second")).phase == jobs_pb2.JOB_PHASE_TRAINING
    assert (await operator.show("third")).phase == jobs_pb2.JOB_PHASE_GATHERING
    await site.train(train)
    site.installed = []
    for _ in range(3):
        site.installed.clear()
        await site.serve()
    phases = [(await operator.show(job)).phase for job in ("first", "second", "third")]
    assert phases == [jobs_pb2.JOB_PHASE_FINISHED] * 3


async def test_jobs_take_turns(plant, operator) -> None:
    site = await plant("turns-a")
    for job in ("turn-one", "turn-two"):
        await operator.submit(job, rounds={"count": 2, "sites": ["turns-a"]})
        await site.accept(job)
    order = []
    for _ in range(4):
        train = (await site.next_work()).train
        order.append((train.job, train.round))
        await site.train(train)
        while (await operator.show(train.job)).round == train.round and train.round < 2:
            await asyncio.sleep(0.02)
    assert [number for _, number in order] == [1, 1, 2, 2]


async def test_revoked_site_is_out_of_its_jobs_with_what_it_sent(plant, operator, coordinator, cli) -> None:
    (a, of_a), (b, of_b) = await joined(plant, operator, "expel", "a", "b", quorum=1, count=1)
    await b.train(of_b)
    assert cli("revoke", "expel-b", "--state", str(coordinator.state)).returncode == 0
    deadline = time.monotonic() + 10
    while {site.site: site.state for site in (await operator.show("expel")).sites}["expel-b"] != "left":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    await a.train(of_a)
    status = await operator.watch("expel")
    assert list(status.history[0].committed) == ["expel-a"]
    assert dict(status.history[0].missing) == {"expel-b": "its certificate was revoked"}
    with pytest.raises(aio.AioRpcError) as refused:
        await b.next_work()
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_watching_outlives_a_restart_of_the_coordinator(plant, operator, coordinator, caplog) -> None:
    ((a, of_a),) = await joined(plant, operator, "watched", "a", count=1)
    told = queue.SimpleQueue[jobs_pb2.JobStatus]()
    watching = asyncio.create_task(
        asyncio.to_thread(lambda: [told.put(status) for status in statuses(coordinator.state, "watched")])
    )
    await asyncio.to_thread(told.get, timeout=60)
    coordinator.kill()
    threading.Thread(target=coordinator.start).start()
    while True:
        try:
            await a.train(of_a)
            break
        except aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            await asyncio.sleep(0.1)
    await watching
    while not told.empty():
        last = told.get()
    assert last.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert "waiting for it" in caplog.text
