"""The worker process with the real FedAvg."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coordinator.aggregation import AggregationFailed, AggregationWorker, Received
from models.method import RejectedUpdate
from protos.errors import StateError
from protos.jobs import JobSpec
from protos.tensors import read_tensors, write_tensors

SPEC = JobSpec(name="job", method="fedavg", seed=7)


@pytest.fixture
async def worker() -> AsyncIterator[AggregationWorker]:
    worker = AggregationWorker()
    yield worker
    await worker.stop()


def updates(folder: Path, *values: float) -> list[Received]:
    found = []
    for number, value in enumerate(values):
        path = folder / f"{number}.safetensors"
        write_tensors(path, {"w": np.full(4, value, np.float32)})
        found.append(Received(f"site-{number}", 1.0, 1.0, path))
    return found


async def test_aggregate_is_the_mean_and_the_same_bytes_each_time(worker: AggregationWorker, tmp_path: Path) -> None:
    for out in (tmp_path / "one", tmp_path / "two"):
        await worker.aggregate(SPEC, 1, None, updates(tmp_path, 1.0, 2.0, 6.0), out)
    assert read_tensors(tmp_path / "one")["w"].tolist() == [3.0] * 4
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


async def test_update_with_nan_is_rejected_with_the_reason(worker: AggregationWorker, tmp_path: Path) -> None:
    path = updates(tmp_path, float("nan"))[0].path
    with pytest.raises(RejectedUpdate, match="not finite"):
        await worker.check(SPEC, {}, None, path)


async def test_file_that_is_no_tensor_file_is_rejected(worker: AggregationWorker, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("these are not tensors at all")
    with pytest.raises(RejectedUpdate, match="not a safetensors file"):
        await worker.check(SPEC, {}, None, tmp_path / "text")


async def test_tensor_that_is_too_large_for_memory_is_rejected(worker: AggregationWorker, tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}}'
    (tmp_path / "absurd").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(RejectedUpdate, match="not a readable safetensors file"):
        await worker.check(SPEC, {}, None, tmp_path / "absurd")


async def test_update_unlike_its_base_is_rejected_by_a_short_reason(worker: AggregationWorker, tmp_path: Path) -> None:
    base, path = updates(tmp_path, 1.0, 2.0)[0].path, tmp_path / "other"
    write_tensors(path, {"n" * 100_000: np.zeros(4, np.float32)})
    with pytest.raises(RejectedUpdate, match="2 of the tensors") as fault:
        await worker.check(SPEC, {}, base, path)
    assert len(str(fault.value)) <= 1_000


@pytest.fixture
def few_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_open_files")
async def test_more_updates_than_files_may_be_open_by_default(worker: AggregationWorker, tmp_path: Path) -> None:
    listed = [replace(updates(tmp_path, 2.0)[0], site=f"site-{number:04}") for number in range(1_100)]
    await worker.aggregate(SPEC, 1, None, listed, tmp_path / "out")
    assert read_tensors(tmp_path / "out")["w"].tolist() == [2.0] * 4


async def test_remarks_tell_what_the_rule_did(worker: AggregationWorker, tmp_path: Path) -> None:
    listed = updates(tmp_path, 1.0, 1.5, 2.0, 1.0, 100.0)
    spec = SPEC.model_copy(update={"settings": {"aggregation": {"rule": "krum", "assumed_bad": 1}}})
    told = await worker.aggregate(spec, 1, None, listed, tmp_path / "out")
    assert told.remarks["site-4"].startswith("left out by krum: its distance to the others is 19")
    with pytest.raises(AggregationFailed, match="krum against 1 bad sites needs 5 updates and has 4"):
        await worker.aggregate(spec, 1, None, listed[:4], tmp_path / "out")


async def test_good_update_passes(worker: AggregationWorker, tmp_path: Path) -> None:
    path = updates(tmp_path, 1.0)[0].path
    await worker.check(SPEC, {}, None, path)


async def test_updates_that_do_not_fit_together_fail_naming_the_site(worker: AggregationWorker, tmp_path: Path) -> None:
    listed = updates(tmp_path, 1.0, 2.0)
    write_tensors(listed[1].path, {"w": np.zeros(5, np.float32)})
    with pytest.raises(AggregationFailed, match="site-1"):
        await worker.aggregate(SPEC, 1, None, listed, tmp_path / "out")


async def test_unwritable_output_is_a_state_error(worker: AggregationWorker, tmp_path: Path) -> None:
    with pytest.raises(StateError):
        await worker.aggregate(SPEC, 1, None, updates(tmp_path, 1.0), tmp_path / "nowhere" / "out")


async def test_killed_worker_is_replaced(worker: AggregationWorker, tmp_path: Path) -> None:
    await worker.start()
    os.kill(worker._process.pid, signal.SIGKILL)
    await worker.aggregate(SPEC, 1, None, updates(tmp_path, 1.0), tmp_path / "out")
    assert (tmp_path / "out").exists()


async def test_answer_goes_to_its_own_request_when_an_earlier_caller_gave_up(
    worker: AggregationWorker, tmp_path: Path
) -> None:
    bad, good = updates(tmp_path, float("nan"), 1.0)
    given_up = asyncio.create_task(worker.check(SPEC, {}, None, bad.path))
    await asyncio.sleep(0)
    given_up.cancel()
    await worker.check(SPEC, {}, None, good.path)


async def test_resting_worker_ends_and_comes_back(worker: AggregationWorker, tmp_path: Path) -> None:
    await worker.start()
    process = worker._process
    await worker.rest()
    assert process.returncode == 0
    path = updates(tmp_path, 1.0)[0].path
    await worker.check(SPEC, {}, None, path)
