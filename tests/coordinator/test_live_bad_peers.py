"""Bad peers at a real coordinator process: rejected or outvoted by name and figure, while the job goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from protos.tensors import read_tensors

Update = Callable[[int], dict[str, np.ndarray]]


def constant(value: float, shape: tuple[int, ...] = (8,)) -> Update:
    return lambda number: {"w": np.full(shape, value, np.float32)}


async def run(plant, operator, job: str, bad: Update, settings: dict[str, object], tmp_path, **rounds: object):
    """A job of two rounds at three honest sites and a bad one: its status, and the first value of its model."""
    updates = {"a": constant(1.0), "b": constant(1.5), "c": constant(2.0), "bad": bad}
    sites = [await plant(f"{job}-{name}", update=update) for name, update in updates.items()]
    policy = {"count": 2, "sites": [site.name for site in sites], **rounds}
    await operator.submit(job, rounds=policy, settings={"aggregation": settings})
    serving = [asyncio.create_task(site.serve()) for site in sites]
    status = await operator.watch(job)
    (tmp_path / "global").write_bytes(await sites[0].download(status.global_digest))
    for task in serving:
        task.cancel()
    return status, float(read_tensors(tmp_path / "global")["w"][0])


async def test_poisoned_update_is_outvoted_and_named_in_the_record(plant, operator, tmp_path) -> None:
    settings = {"rule": "trimmed-mean", "assumed_bad": 1}
    status, value = await run(plant, operator, "outvoted", constant(-1e6), settings, tmp_path)
    assert value == 1.25  # of 1, 1.5 and 2 the highest goes, too
    for past in status.history:
        assert past.remarks["outvoted-bad"] == "cut: 100% of its values are among the 1 highest or lowest"


async def test_first_update_of_another_shape_does_not_end_the_job(plant, operator, tmp_path) -> None:
    odd = constant(1.0, (3, 3))
    status, value = await run(plant, operator, "shapes", odd, {}, tmp_path, quorum=3, progress_s=1.0)
    assert value == 1.5
    assert "'w' is float32 (3, 3), in most updates float32 (8,)" in status.history[0].remarks["shapes-bad"]
    # From the second round on there is a model to compare with, and the update is not even taken in.
    assert "in the model that it was made from float32 (8,)" in status.history[1].missing["shapes-bad"]


async def test_step_over_the_jobs_bound_is_rejected_with_its_norm(plant, operator, tmp_path) -> None:
    def growing(number: int) -> dict[str, np.ndarray]:
        return constant(1.5 if number == 1 else 1e6)(number)

    status, value = await run(plant, operator, "bound", growing, {"max_norm": 100.0}, tmp_path, quorum=3)
    assert value == 1.5
    assert "has norm 2.83e+06; the job's max_norm is 100" in status.history[1].missing["bound-bad"]
