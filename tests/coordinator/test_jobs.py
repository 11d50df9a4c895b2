"""Whole jobs on a real coordinator process, with sites that behave and sites that do not."""

from __future__ import annotations

import asyncio
import json
import time

import grpc
import numpy as np
import pytest
from grpc import aio

from protos.tensors import read_tensors
from protos.v1 import jobs_pb2, work_pb2


def constant(value: float):
    return lambda number: {"w": np.full(8, value * number, np.float32)}


async def joined(plant, operator, job: str, *names: str, **policy):
    """Sites that hold a lease of the job's first round, and their leases."""
    sites = [await plant(f"{job}-{name}") for name in names]
    await operator.submit(job, rounds={"count": 1, "sites": [site.name for site in sites], **policy})
    for site in sites:
        await site.accept(job)
    return [(site, (await site.next_work()).train) for site in sites]


async def beat(site, train, step: int = 0, **fields) -> work_pb2.HeartbeatReply:
    request = work_pb2.HeartbeatRequest(
        job=train.job, round=train.round, epoch=train.epoch, stage="training", step=step, steps=10, **fields
    )
    return await site.work.Heartbeat(request)


async def test_job_of_two_rounds_is_averaged_installed_and_reported(plant, operator, tmp_path) -> None:
    sites = [await plant(name, update=constant(value)) for name, value in (("mean-a", 1.0), ("mean-b", 3.0))]
    await operator.submit("mean", rounds={"count": 2, "sites": ["mean-a", "mean-b"]})
    working = asyncio.gather(*(site.serve() for site in sites))
    status = await operator.watch("mean")
    await working
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    (tmp_path / "global").write_bytes(await sites[0].download(status.global_digest))
    assert read_tensors(tmp_path / "global")["w"].tolist() == [4.0] * 8
    size = (tmp_path / "global").stat().st_size
    for number, past in enumerate(status.history, start=1):
        assert (past.round, past.reason) == (number, "all 2 sites delivered")
        assert list(past.committed) == ["mean-a", "mean-b"]
        assert (past.bytes_up, past.bytes_down) == (2 * size, 2 * size)
        assert 0 < past.seconds < 60
    assert [site.state for site in (await operator.show("mean")).sites] == ["installed", "installed"]
    assert [site.installed for site in sites] == [[status.global_digest.hex()]] * 2


async def test_waiting_site_hears_of_a_job_at_once(plant, operator) -> None:
    site = await plant("prompt-a")
    waiting = asyncio.create_task(site.next_work())
    await asyncio.sleep(0.3)
    before = time.monotonic()
    await operator.submit("prompt", rounds={"sites": ["prompt-a"]})
    assert (await waiting).prepare.job == "prompt"
    assert time.monotonic() - before < 10  # of a long poll of 25


async def test_job_being_worked_on_is_not_offered_again(plant, operator) -> None:
    ((site, train),) = await joined(plant, operator, "busy", "a")
    request = work_pb2.NextWorkRequest(wait_s=0.1, ignore_jobs=["busy"])
    assert (await site.work.NextWork(request)).WhichOneof("work") is None
    assert (await site.next_work()).train == train


async def test_differing_declaration_is_refused_by_name(plant, operator) -> None:
    one = await plant("unlike-a")
    other = await plant("unlike-b", declaration={"width": "152", "backbone": "resnet18"})
    await operator.submit("unlike", rounds={"sites": ["unlike-a", "unlike-b"]})
    assert (await one.accept("unlike")).accepted
    for _ in range(2):
        reply = await other.accept("unlike")
        assert not reply.accepted
        assert "backbone is resnet18 at unlike-b and missing in the job, width is 152 at unlike-b" in reply.reason
    status = await operator.show("unlike")
    assert status.phase == jobs_pb2.JOB_PHASE_FAILED
    assert "unlike-b: declares something else than unlike-a" in status.reason


async def test_declining_site_is_named(plant, operator) -> None:
    site = await plant("declined-a")
    await operator.submit("declined", rounds={"sites": ["declined-a"]})
    request = work_pb2.JoinJobRequest(job="declined", decline_reason="no images\x1b[31m here")
    assert not (await site.work.JoinJob(request)).accepted
    assert "declined-a: no images [31m here" in (await operator.show("declined")).reason


async def test_update_with_nan_is_rejected_and_the_round_goes_on(plant, operator) -> None:
    (good, lease), (bad, bad_lease) = await joined(plant, operator, "nan", "a", "b", quorum=1)
    digest = await bad.leave({"w": np.full(8, np.nan, np.float32)})
    for _ in range(2):
        reply = await bad.submit(bad_lease, digest)
        assert not reply.accepted
        assert "8 of 8 values that are not finite" in reply.reason
    assert (await good.train(lease)).accepted
    status = await operator.watch("nan")
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert list(status.history[0].committed) == ["nan-a"]
    assert "not finite" in status.history[0].missing["nan-b"]
    assert "not finite" in status.history[0].reason


async def test_weight_that_is_no_positive_number_is_rejected(plant, operator) -> None:
    ((site, train),) = await joined(plant, operator, "weight", "a")
    reply = await site.submit(train, await site.leave({"w": np.ones(8, np.float32)}), weight=float("nan"))
    assert not reply.accepted
    assert "its weight is nan" in reply.reason


async def test_update_that_was_not_committed_is_told(plant, operator) -> None:
    ((site, train),) = await joined(plant, operator, "absent", "a")
    with pytest.raises(aio.AioRpcError, match="upload and commit it first"):
        await site.submit(train, "ab" * 32)


async def test_update_that_another_site_committed_does_not_count(plant, operator) -> None:
    (one, _), (other, lease) = await joined(plant, operator, "borrowed", "a", "b")
    digest = await one.leave({"w": np.ones(8, np.float32)})
    with pytest.raises(aio.AioRpcError, match="borrowed-b has not committed artifact"):
        await other.submit(lease, digest)


async def test_same_update_twice_at_the_same_time_counts_once(plant, operator) -> None:
    ((site, train), (other, lease)) = await joined(plant, operator, "twice", "a", "b")
    digest = await site.leave({"w": np.ones(8, np.float32)})
    replies = await asyncio.gather(*(site.submit(train, digest) for _ in range(3)))
    assert all(reply.accepted for reply in replies)
    assert (await other.train(lease)).accepted
    assert (await operator.watch("twice")).history[0].bytes_up > 0
    assert (await site.submit(train, digest)).accepted


async def test_silent_site_is_left_behind_by_the_quorum(plant, operator) -> None:
    (good, lease), (silent, old) = await joined(plant, operator, "silent", "a", "b", quorum=1, progress_s=1.0)
    assert (await good.train(lease)).accepted
    status = await operator.watch("silent")
    assert status.history[0].missing == {"silent-b": "made no progress for 1 s"}
    reply = await beat(silent, old, 1)
    assert not reply.lease_valid
    assert "job silent has finished" in reply.reason
    assert not (await silent.train(old)).accepted


async def test_progress_keeps_a_lease_and_its_absence_does_not(plant, operator) -> None:
    (_, _), (site, train) = await joined(plant, operator, "progress", "a", "b", quorum=1, progress_s=1.0)
    for step in range(6):
        assert (await beat(site, train, step)).lease_valid
        await asyncio.sleep(0.3)
    states = {one.site: one.state for one in (await operator.show("progress")).sites}
    assert states == {"progress-a": "lost", "progress-b": "training"}
    assert (await site.train(train)).accepted


async def test_failed_round_is_named(plant, operator) -> None:
    ((site, train),) = await joined(plant, operator, "broken", "a")
    request = work_pb2.FailRoundRequest(job="broken", round=1, epoch=train.epoch, reason="the disk is full")
    await site.work.FailRound(request)
    assert "broken-a: the disk is full" in (await operator.watch("broken")).reason


async def test_cancelled_job_takes_the_lease_away(plant, operator) -> None:
    ((site, train),) = await joined(plant, operator, "stopped", "a")
    for _ in range(2):
        status = await operator.jobs.CancelJob(jobs_pb2.CancelJobRequest(job="stopped", reason="wrong data"))
        assert status.phase == jobs_pb2.JOB_PHASE_CANCELLED
    reply = await beat(site, train)
    assert (reply.lease_valid, reply.reason) == (False, "job stopped has been cancelled: wrong data")


async def test_job_fails_when_nobody_joins_in_time(plant, operator) -> None:
    await plant("nobody-a")
    await operator.submit("nobody", rounds={"sites": ["nobody-a"], "gather_s": 0.3})
    status = await operator.watch("nobody")
    assert status.reason == "0 of 1 site joined, 1 needed; nobody-a: did not join within 0.3 s"


async def test_watching_shows_progress(plant, operator) -> None:
    ((site, train),) = await joined(plant, operator, "watched", "a")
    watching = operator.jobs.WatchJob(jobs_pb2.ShowJobRequest(job="watched"))
    await watching.read()
    await beat(site, train, 3, eta_s=12.5)
    status = await watching.read()
    shown = status.sites[0]
    assert (shown.state, shown.stage, shown.step, shown.steps, shown.eta_s) == ("training", "training", 3, 10, 12.5)
    assert status.reason == "waits for watched-a"
    watching.cancel()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rounds": {"sites": ["strangers"]}}, "names strangers: not enrolled or revoked"),
        ({"rounds": {"sites": ["known-a"], "quorum": 3}}, "quorum of 3 cannot be reached"),
        ({"method": "alchemy"}, "the method 'alchemy' is not installed"),
        ({"seed": -1}, "seed"),
        (
            {"rounds": {"sites": ["known-a"]}, "settings": {"aggregation": {"rule": "krum", "assumed_bad": 1}}},
            "needs 5 updates",
        ),
    ],
)
async def test_impossible_job_is_refused(plant, operator, change, words: str) -> None:
    await plant("known-a")
    spec = {"name": "impossible", "method": "fedavg", **change}
    with pytest.raises(aio.AioRpcError, match=words) as error:
        await operator.jobs.SubmitJob(jobs_pb2.SubmitJobRequest(spec_json=json.dumps(spec)))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_name_is_taken_once_but_a_repeat_of_the_submission_is_welcome(plant, operator) -> None:
    await plant("name-a")
    for _ in range(2):
        await operator.submit("name", rounds={"sites": ["name-a"]})
    with pytest.raises(aio.AioRpcError, match="there is already a job name"):
        await operator.submit("name", rounds={"sites": ["name-a"]}, seed=5)


async def test_unknown_job_is_told(operator) -> None:
    with pytest.raises(aio.AioRpcError, match="there is no job 'nothing'"):
        await operator.show("nothing")
