"""A measurement as a table for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from edge_client.bench.record import Bench, Machine
from edge_client.bench.timing import Timing

_STAGES = ("decode", "preprocess", "infer", "postprocess", "whole")


def print_bench(bench: Bench, console: Console) -> None:
    """One row for each stage at each batch size, and below what it was measured on."""
    table = Table(title=f"{bench.job}: {bench.precision} with {bench.backend} on {bench.device}", title_justify="left")
    for column in ("batch", "milliseconds of", "p50", "p90", "p95", "p99", "mean", "std"):
        table.add_column(column, justify="left" if column == "milliseconds of" else "right")
    for batch in bench.batches:
        for stage in _STAGES:
            found: Timing = getattr(batch, stage)
            figures = (found.p50, found.p90, found.p95, found.p99, found.mean, found.std)
            row = str(batch.size), stage, *(f"{figure:.2f}" for figure in figures)
            table.add_row(*row, end_section=stage == _STAGES[-1])
    console.print(table)
    console.print(_measured_on(bench), highlight=False)


def _measured_on(bench: Bench) -> str:
    machine = bench.machine
    runs = ", ".join(str(batch.runs) for batch in bench.batches)
    speeds = (f"{batch.images_per_second:.1f} images/s at batch {batch.size}" for batch in bench.batches)
    lines = [
        ", ".join(speeds),
        f"{runs} runs over {bench.images} images at {bench.image_size} px",
        f"{machine.processor}, {machine.cores} cores, threads {machine.threads or 'up to the backend'}",
        *([_gpu(machine)] if machine.gpu else []),
        *([f"power mode {machine.power_mode}"] if machine.power_mode else []),
        ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        f"load {machine.load_before} before, {machine.load_after} after{_busy(machine)}",
    ]
    return "\n".join(lines)


def _gpu(machine: Machine) -> str:
    facts = {"driver": machine.driver, "compute capability": machine.compute_capability, "clocks": machine.clocks}
    return ", ".join([str(machine.gpu), *(f"{name} {fact}" for name, fact in facts.items() if fact)])


def _busy(machine: Machine) -> str:
    return ": other work ran beside it, and is in these times" if machine.load_before > machine.cores / 2 else ""
