import asyncio
import logging

import pytest

from edge_client import lease
from edge_client.lease import LeaseLost, Progress, hold_lease
from protos.errors import Unavailable
from protos.v1 import work_pb2

VALID = work_pb2.HeartbeatReply(lease_valid=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.01)


async def test_work_gives_its_result_while_the_heart_beats() -> None:
    beats = 0

    async def beat() -> work_pb2.HeartbeatReply:
        nonlocal beats
        beats += 1
        return VALID

    async def work() -> str:
        await asyncio.sleep(0.1)
        return "done"

    assert await hold_lease(work(), beat) == "done"
    assert 3 <= beats <= 10


async def test_work_is_stopped_when_the_lease_is_lost() -> None:
    ended = asyncio.Event()

    async def beat() -> work_pb2.HeartbeatReply:
        return work_pb2.HeartbeatReply(lease_valid=False, reason="the round was closed")

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(LeaseLost, match="the round was closed"):
        await hold_lease(work(), beat)
    assert ended.is_set()


async def test_work_goes_on_and_says_so_once_when_the_coordinator_is_away(caplog: pytest.LogCaptureFixture) -> None:
    async def beat() -> work_pb2.HeartbeatReply:
        raise Unavailable("the coordinator is away")

    async def work() -> str:
        await asyncio.sleep(0.1)
        return "done"

    with caplog.at_level(logging.WARNING):
        assert await hold_lease(work(), beat) == "done"
    assert caplog.messages == ["the coordinator is away; the work goes on"]


async def test_a_failure_of_the_work_is_the_callers() -> None:
    async def beat() -> work_pb2.HeartbeatReply:
        return VALID

    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await hold_lease(work(), beat)


async def test_the_work_ends_when_the_caller_is_cancelled() -> None:
    ended = asyncio.Event()

    async def beat() -> work_pb2.HeartbeatReply:
        return VALID

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    holding = asyncio.create_task(hold_lease(work(), beat))
    await asyncio.sleep(0.05)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert ended.is_set()


def test_the_eta_follows_the_pace_of_the_stage() -> None:
    now = 0.0
    progress = Progress(clock=lambda: now)
    progress.report("features", 90, 100)
    now = 100.0
    progress.report("training", 0, 10)
    assert progress.eta_s == 0.0
    now = 106.0
    progress.report("training", 3, 10)
    assert progress.eta_s == pytest.approx(14.0)
    progress.report("training", 10, 10)
    assert progress.eta_s == 0.0


def test_the_eta_is_unknown_when_the_steps_are() -> None:
    progress = Progress()
    progress.report("training", 5, 0)
    assert progress.eta_s == 0.0
