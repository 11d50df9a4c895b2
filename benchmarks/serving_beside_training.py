"""What a camera waits for with and without training on the same machine, and with a latency budget that training keeps.

    python -m benchmarks.serving_beside_training

The camera sends a solar cell every 100 ms over ZeroMQ to a real server (EfficientNet-Lite0, 224 pixels, one thread).
Training is the agent's worker process, at nice 5 as always and with all cores, which does one round of FedDyMem after
the other on real images. The budget is one and a half times the p99 that was measured without training.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving_clients import Camera
from benchmarks.serving_process import ServeProcess
from benchmarks.serving_site import FULL, JOB, compile_round, make_site
from edge_client.latency_budget import PAUSED
from edge_client.worker_client import Worker
from edgefed.demo.anomaly.plants import deal, load_cells

_EVERY_S = 0.1
_WARM_UP = 20


@dataclass
class Phase:
    """One line of the table.

    Attributes:
        name: what went on.
        waited: milliseconds from sending a frame to its verdict.
        steps: of training that were reported.
        pauses: how often training has waited for the line.
    """

    name: str
    waited: list[float] = field(default_factory=list)
    steps: int = 0
    pauses: int = 0

    def quantiles(self) -> list[float]:
        """Milliseconds of p50, p90 and p99."""
        return [float(value) for value in np.percentile(self.waited, [50, 90, 99])]

    def report(self, stage: str, step: int, steps: int) -> None:
        """Counts what the worker reports."""
        self.pauses += stage == PAUSED
        self.steps += stage != PAUSED


async def measure(site: Path, name: str, seconds: float, *, trains: bool, budget_ms: float | None) -> Phase:
    """A server, a camera for `seconds`, and training beside it where asked for."""
    phase, worker = Phase(name), Worker()
    budget = [] if budget_ms is None else ["--latency-budget-ms", f"{budget_ms:g}"]
    server = ServeProcess(site.parent / "serve.log", "--state", site, *budget)
    training = asyncio.create_task(_train(site, worker, phase)) if trains else None
    while training and not (phase.steps or training.done()):
        await asyncio.sleep(0.1)
    await asyncio.to_thread(_film, server.endpoint, seconds, phase)
    if training and not training.cancel():
        training.result()  # it has ended by itself, and says why
    if training:
        with suppress(asyncio.CancelledError):
            await training
    await worker.stop()
    server.stop()
    return phase


async def _train(site: Path, worker: Worker, phase: Phase) -> None:
    job = site / "jobs" / JOB
    known = max(int(path.stem.removeprefix("state-")) for path in job.glob("state-*.safetensors"))
    for number in itertools.count(known + 1):
        request = {"op": "update", "job_dir": str(job), "site_dir": str(site), "round": number,
                   "global": str(job / "global.safetensors"), "out": str(job / "update.safetensors")}  # fmt: skip
        await worker.ask(request, phase.report)


def _film(endpoint: str, seconds: float, phase: Phase) -> None:
    images = [cell.path.read_bytes() for cell in deal(load_cells(), 0).test if cell.type == "mono"]
    with Camera(endpoint) as camera:
        for image in images[:_WARM_UP]:
            camera.judge(image)
        began = time.perf_counter()
        for number in range(int(seconds / _EVERY_S)):
            due = began + number * _EVERY_S
            time.sleep(max(0.0, due - time.perf_counter()))
            camera.judge(images[number % len(images)])
            phase.waited.append(
                1000 * (time.perf_counter() - due)
            )  # a frame that was held up by the last one waits too


async def compare(folder: Path, seconds: float) -> list[Phase]:
    """Without training, with it, and with it and a budget."""
    site = make_site(folder, FULL)
    compile_round(site, 1, folder / "cells.tar")
    alone = await measure(site, "no training", seconds, trains=False, budget_ms=None)
    beside = await measure(site, "training beside it", seconds, trains=True, budget_ms=None)
    budget = round(1.5 * alone.quantiles()[-1])
    kept = await measure(site, f"training, --latency-budget-ms {budget}", seconds, trains=True, budget_ms=budget)
    return [alone, beside, kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each phase")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="edgefed-") as folder:
        phases = asyncio.run(compare(Path(folder), asked.seconds))
    table = Table(title=f"load before {load:.1f}, after {os.getloadavg()[0]:.1f}", title_justify="left")
    for column in ("", "frames", "p50 ms", "p90 ms", "p99 ms", "training steps/s", "pauses"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for phase in phases:
        quantiles = [f"{value:.1f}" for value in phase.quantiles()]
        steps = f"{phase.steps / asked.seconds:.1f}"
        table.add_row(phase.name, str(len(phase.waited)), *quantiles, steps, str(phase.pauses))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
