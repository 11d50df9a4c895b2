"""The queue, the batches and what is told, with a real model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from edge_client.compiled.runner import RawScores
from edge_client.images import read_image
from edge_client.serve import service as module
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Busy, Service
from edge_client.serve.verdict import Serving, Verdict
from protos.errors import EngineError, InvalidInput, StateError


async def test_many_at_once_get_the_verdicts_of_one_by_one(
    service: Service, serving: Serving, cells: Path, told: list[Verdict]
) -> None:
    paths = sorted((cells / "test").rglob("*.png"))
    found = await asyncio.gather(*(service.judge(read_image(path)) for path in paths))
    alone = [serving.model.judge(path).score for path in paths]
    np.testing.assert_allclose([verdict.judgement.score for verdict in found], alone, rtol=1e-5)
    assert [verdict.decision for verdict in found].count("defect") >= 5
    assert len(told) == len(paths)


async def test_a_full_queue_turns_away_and_holds_up_the_patient(
    service: Service, metrics: Metrics, cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    image = read_image(cell)
    first = [asyncio.create_task(service.judge(image)) for _ in range(2)]
    await asyncio.sleep(0)
    patient = asyncio.create_task(service.judge(image, patient=True))
    with pytest.raises(Busy):
        await service.judge(image)
    verdicts = await asyncio.gather(*first, patient)
    assert len({verdict.judgement.score for verdict in verdicts}) <= 2
    assert "edgefed_turned_away_total 1.0" in metrics.text().decode()


async def test_images_are_bounded_in_bytes_and_one_is_always_taken(
    service: Service, cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    image = read_image(cell)
    first = asyncio.create_task(service.judge(image))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await service.judge(image)
    assert (await first).decision == "defect"


async def test_leaving_judges_what_waits(serving: Serving, metrics: Metrics, cell: Path) -> None:
    async with Service(serving, metrics, lambda verdict: None) as service:
        waiting = [asyncio.create_task(service.judge(read_image(cell))) for _ in range(12)]
        await asyncio.sleep(0)
    assert all(verdict.decision == "defect" for verdict in await asyncio.gather(*waiting))


async def test_who_gives_up_leaves_room(service: Service, cell: Path, metrics: Metrics) -> None:
    waiting = asyncio.create_task(service.judge(read_image(cell)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await service.judge(read_image(cell))).decision == "defect"
    assert "edgefed_waiting 0.0" in metrics.text().decode()


async def test_a_model_without_a_number_fails_its_batch_and_not_the_service(
    service: Service, serving: Serving, cell: Path, metrics: Metrics
) -> None:
    bank = serving.model.bundle.bank
    image = read_image(cell)
    serving.model.runner.swap(type(bank)(bank.rows * np.float32(np.nan), bank.scales, bank.generator))
    with pytest.raises(StateError, match="not finite"):
        await service.judge(image)
    serving.model.runner.swap(bank)
    assert (await service.judge(image)).decision == "defect"
    assert "edgefed_failures_total 1.0" in metrics.text().decode()


async def test_a_backend_that_breaks_is_told_to_who_waits_and_ends_nothing(
    service: Service, serving: Serving, cell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(pixels: np.ndarray) -> RawScores:
        raise RuntimeError("the device is gone")

    image = read_image(cell)
    with monkeypatch.context() as patch, pytest.raises(EngineError, match="RuntimeError: the device is gone"):
        patch.setattr(serving.model.runner, "run", broken)
        await service.judge(image)
    assert (await service.judge(image)).decision == "defect"


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
async def test_what_is_no_image_is_refused_by_shape_and_type(service: Service, image: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="an image is uint8 of shape"):
        await service.judge(image)


async def test_too_many_pixels_are_refused_before_they_wait(service: Service) -> None:
    with pytest.raises(InvalidInput, match="50 million pixels"):
        await service.judge(np.broadcast_to(np.uint8(0), (10_000, 10_000, 3)))


async def test_the_metrics_name_model_verdicts_and_latency(service: Service, metrics: Metrics, cell: Path) -> None:
    await service.judge(read_image(cell))
    text = metrics.text().decode()
    assert f'digest="{service.serving.digest}"' in text
    assert 'edgefed_verdicts_total{verdict="defect"} 1.0' in text
    assert "edgefed_latency_seconds_count 1.0" in text
    assert metrics.recent_p99() is not None


async def test_a_window_of_other_scores_raises_the_drift_alarm(metrics: Metrics, serving: Serving) -> None:
    metrics.serve(serving)
    normal = serving.model.bundle.calibration.scores
    metrics.judged(np.full(100, normal.max() * 10, np.float32))
    text = metrics.text().decode()
    alarm = "edgefed_drift_distance 1.0" in text
    assert alarm
    metrics.serve(serving)
    assert "edgefed_drift_distance NaN" in metrics.text().decode()


async def test_the_recent_latency_forgets(serving: Serving, cell: Path) -> None:
    now = [0.0]
    metrics = Metrics(lambda: now[0])
    async with Service(serving, metrics, lambda verdict: None) as service:
        await service.judge(read_image(cell))
    assert metrics.recent_p99() is not None
    now[0] = 11
    assert metrics.recent_p99() is None
