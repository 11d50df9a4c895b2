"""Runs a compiled model on real images, one stage after another, and takes the time of each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge_client.bench.machine import read_machine
from edge_client.bench.record import Batch, Bench
from edge_client.bench.timing import repeat, timing
from edge_client.compiled.model import CompiledModel
from edge_client.images import read_image
from edge_client.judge import judgements
from models.pixels import resized
from models.scoring import smooth_maps


def measure(
    model: CompiledModel, paths: Sequence[Path], sizes: Sequence[int], asked: str, report: Callable[[int], None]
) -> Bench:
    """The figures of a model at some batch sizes.

    Args:
        model: to be measured.
        paths: image files, at least one; they are taken in turn.
        sizes: of the batches, each at least 1.
        asked: the backend that was asked for.
        report: told how many batch sizes are done.

    Raises:
        InvalidInput: an image cannot be read.
        EngineError: the backend failed.
    """
    load = os.getloadavg()[0]
    batches = []
    for number, size in enumerate(sizes, start=1):
        batches.append(_batch(model, paths, size))
        report(number)
    bundle, runner = model.bundle, model.runner
    return Bench(
        measured=datetime.now(UTC).isoformat(timespec="seconds"), job=model.job, model_sha256=bundle.model_sha256,
        asked_backend=asked, backend=runner.backend, device=runner.device, precision=runner.precision,
        image_size=bundle.manifest.input.size, images=len(paths), machine=read_machine(load), batches=tuple(batches),
    )  # fmt: skip


def _batch(model: CompiledModel, paths: Sequence[Path], size: int) -> Batch:
    seconds = repeat(lambda run: _stages(model, [paths[(run * size + one) % len(paths)] for one in range(size)]))
    decode, preprocess, infer, postprocess = (timing(stage) for stage in seconds.T)
    whole = seconds.sum(axis=1)
    return Batch(
        size=size, runs=len(seconds), decode=decode, preprocess=preprocess, infer=infer, postprocess=postprocess,
        whole=timing(whole), images_per_second=size / float(whole.mean()),
    )  # fmt: skip


def _stages(model: CompiledModel, paths: Sequence[Path]) -> Sequence[float]:
    """Seconds for decoding, preprocessing, inference and postprocessing of one batch."""
    manifest = model.bundle.manifest
    times = [time.perf_counter()]
    images = [read_image(path) for path in paths]
    times.append(time.perf_counter())
    pixels = resized(images, manifest.input.size)
    times.append(time.perf_counter())
    scores, maps = model.runner.run(pixels)
    times.append(time.perf_counter())
    judgements(images, scores, smooth_maps(maps), manifest.output.rule, 0.0)
    times.append(time.perf_counter())
    return np.diff(times).tolist()
