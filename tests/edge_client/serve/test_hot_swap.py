"""Another model in the place of one that is at work."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from edge_client.bundle.writing import write_bundle
from edge_client.calibration import keep_rate
from edge_client.images import read_image
from edge_client.serve import hot_swap
from edge_client.serve.hot_swap import Source, keep_current
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from protos.errors import InvalidInput


@pytest.fixture
def bundle(compiled_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    return Path(shutil.copytree(compiled_bundle, tmp_path / "bundle"))


@pytest.fixture
async def kept(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: Metrics
) -> AsyncIterator[Service]:
    """A service whose model follows the bundle."""
    monkeypatch.setattr(hot_swap, "LOOK_EVERY_S", 0.05)
    source = Source(tmp_path / "state", bundle)
    stamp = source.stamp()
    async with Service(source.load(), metrics, lambda verdict: None) as service:
        keeping = asyncio.create_task(keep_current(service, source, metrics, stamp))
        yield service
        keeping.cancel()


async def until(metrics: Metrics, words: str) -> None:
    async with asyncio.timeout(20):
        while words not in metrics.text().decode():
            await asyncio.sleep(0.02)


async def test_a_new_model_takes_over_without_a_dropped_image(
    kept: Service, bundle: Path, other_memory: dict[str, bytes], cell: Path, metrics: Metrics
) -> None:
    image, old = read_image(cell), kept.serving.digest
    verdicts = [await kept.judge(image)]
    ended = asyncio.Event()

    async def line() -> None:
        while not ended.is_set():
            verdicts.extend(await asyncio.gather(*(kept.judge(image) for _ in range(3))))

    running = asyncio.create_task(line())
    write_bundle(bundle, other_memory)
    await until(metrics, 'edgefed_model_swaps_total{outcome="swapped"} 1.0')
    before = len(verdicts)
    while len(verdicts) < before + 6:
        await asyncio.sleep(0.01)
    ended.set()
    await running
    assert {verdict.digest for verdict in verdicts} == {old, kept.serving.digest}
    scores = {verdict.digest: verdict.judgement.score for verdict in verdicts}
    assert scores[old] != scores[kept.serving.digest]
    same = [verdict.judgement.score for verdict in verdicts if verdict.digest == old]
    np.testing.assert_allclose(same, scores[old], rtol=1e-5)


async def test_the_last_good_model_stays_where_the_new_one_fails(
    kept: Service, bundle: Path, other_memory: dict[str, bytes], cell: Path, metrics: Metrics
) -> None:
    old, good = kept.serving.digest, other_memory
    (bundle / "model.onnx").write_bytes(b"damaged")
    await until(metrics, 'edgefed_model_swaps_total{outcome="refused"} 1.0')
    assert (await kept.judge(read_image(cell))).digest == old
    write_bundle(bundle, {**good, "model.onnx": good["model.onnx"][:1000]})  # digests are right, the graph is not
    await until(metrics, 'edgefed_model_swaps_total{outcome="refused"} 2.0')
    assert (await kept.judge(read_image(cell))).digest == old
    write_bundle(bundle, good)
    await until(metrics, 'edgefed_model_swaps_total{outcome="swapped"} 1.0')
    assert (await kept.judge(read_image(cell))).digest != old


def test_the_sites_model_is_followed_with_its_kept_rate(compiled_site: Path, tmp_path: Path) -> None:
    site = Path(shutil.copytree(compiled_site, tmp_path / "site"))
    source = Source(site, None)
    before, first = source.stamp(), source.load()
    keep_rate(site / "models" / "cells", 0.5)
    assert source.stamp() != before
    moved = source.load()
    assert first.calibration and moved.calibration
    assert moved.calibration.threshold.value < first.calibration.threshold.value
    (site / "models" / "current").unlink()
    assert source.stamp() == ()


def test_a_model_that_is_not_compiled_is_refused(judging_site: Path) -> None:
    with pytest.raises(InvalidInput, match="is not compiled; run `edgefed client compile`"):
        Source(judging_site, None).load()
