"""The agent's end of the worker's pipes, with the real worker at the other end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_client.worker_client import Worker, WorkFailed


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker()
    yield worker
    await worker.stop()


def ignore(stage: str, step: int, steps: int) -> None:
    """Progress that nobody wants."""


def declare(folder: Path) -> dict[str, Any]:
    return {"op": "declare", "job_dir": str(folder), "site_dir": str(folder)}


async def test_a_worker_starts_with_the_first_request_and_stays(worker: Worker, tmp_path: Path) -> None:
    assert not worker.is_running
    for _ in range(2):
        with pytest.raises(WorkFailed) as caught:
            await worker.ask(declare(tmp_path), ignore)
        assert caught.value.kind == "StateError"
        assert "spec.json" in caught.value.message
    assert worker.is_running


async def test_a_worker_that_ended_is_told_and_started_anew(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="ended with exit status 1: KeyError: 'job_dir'") as caught:
        await worker.ask({"op": "declare"}, ignore)
    assert caught.value.kind == "WorkerEnded"
    assert not worker.is_running
    with pytest.raises(WorkFailed, match=r"spec\.json"):
        await worker.ask(declare(tmp_path), ignore)


async def test_a_worker_that_was_killed_is_started_again_once_and_then_told_with_a_hint(
    worker: Worker, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "spec.json")  # reading the job from it takes for ever
    asking = asyncio.create_task(worker.ask(declare(tmp_path), ignore))
    killed = []
    while not asking.done():
        await asyncio.sleep(0.05)
        if worker._process is not None and worker._process not in killed:
            killed.append(worker._process)
            worker._process._process.kill()
    assert len(killed) == 2
    with pytest.raises(WorkFailed, match=r"was ended by signal 9 \(out of memory\?\)"):
        await asking


async def test_a_request_that_is_given_up_ends_the_worker(worker: Worker, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "spec.json")
    asking = asyncio.create_task(worker.ask(declare(tmp_path), ignore))
    await asyncio.sleep(0.3)
    assert worker.is_running
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not worker.is_running


async def test_an_answer_that_is_nested_too_deep_ends_the_worker(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(WorkFailed):
        await worker.ask(declare(tmp_path), ignore)
    assert worker._process
    worker._process._answers.feed_data(b"[" * 100_000 + b"\n")
    with pytest.raises(WorkFailed, match="something that is no answer"):
        await worker.ask(declare(tmp_path), ignore)
    assert not worker.is_running
