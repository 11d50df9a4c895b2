"""What the same method gives without a federation: each site alone, and the pooled images in one place.

The jobs are simulated with the live method values. All are measured on one common test set; the bank of a site alone
and of the pooled images is as large as the federation's global memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console
from threadpoolctl import threadpool_limits

from edge_client.datasets import labelled_images, training_images
from edgefed.demo.processes import leave_interrupts_to_the_parent
from edgefed.labelled_set import LabelledSet, Measured, silent, site_data
from edgefed.simulation import simulate
from models.method import Arrays, derive_seed
from protos.jobs import JobSpec


@dataclass(frozen=True)
class Alternative:
    """A model that was made without the federation.

    Attributes:
        measured: on the common test set.
        rows: of its memory bank.
    """

    measured: Measured
    rows: int


@dataclass(frozen=True)
class Comparison:
    """The federation's alternatives.

    Attributes:
        local: site -> its own images alone.
        centralised: the pooled images with as many rows as the federation.
        centralised_larger: the pooled images with as many rows as all sites alone have together.
        centralised_balanced: the pooled images, those of small sites repeated until all sites count alike.
    """

    local: Mapping[str, Alternative]
    centralised: Alternative
    centralised_larger: Alternative
    centralised_balanced: Alternative


@dataclass(frozen=True)
class _Task:
    """One alternative, as it is handed to a process of its own."""

    name: str
    spec: JobSpec
    paths: Sequence[Path]
    rows: int
    test: Path
    scratch: Path


def compare(spec: JobSpec, sites: Mapping[str, Path], test: Path, scratch: Path, console: Console) -> Comparison:
    """Measures every alternative on the test images under `test`, two at a time.

    Args:
        spec: the federation's job.
        sites: name -> data folder.
        test: folder of the common test set, a product folder for each product.
        scratch: for features.
        console: gets a line as each alternative is done.
    """
    images = {site: training_images(folder).images for site, folder in sites.items()}
    pooled = [path for paths in images.values() for path in paths]
    largest = max(len(paths) for paths in images.values())
    balanced = [paths[index % len(paths)] for paths in images.values() for index in range(largest)]
    rows = spec.the_settings.aggregation.rows
    wanted: dict[str, tuple[Sequence[Path], int]] = {f"{site} alone": (paths, rows) for site, paths in images.items()}
    wanted |= {"pooled": (pooled, rows), "pooled, sites balanced": (balanced, rows)}
    tasks = [_Task(name, spec, paths, size, test, scratch) for name, (paths, size) in wanted.items()]
    found: dict[str, Alternative] = {}
    with get_context("spawn").Pool(2, leave_interrupts_to_the_parent) as pool:
        # The test set's features and those of the pooled images are each made once, before another task reads them.
        pool.apply(_prepare, (spec, test, scratch))
        for task, measured in zip(tasks, pool.imap(_measure, tasks), strict=True):
            found[task.name] = Alternative(measured, task.rows)
            console.print(f"    {task.name}: {measured.union:.3f}")
        larger = _Task("pooled, larger bank", spec, pooled, rows * len(sites), test, scratch)
        found[larger.name] = Alternative(pool.apply(_measure, (larger,)), larger.rows)
    console.print(f"    {larger.name}: {found[larger.name].measured.union:.3f}")
    return Comparison(
        local={site: found[f"{site} alone"] for site in sites},
        centralised=found["pooled"],
        centralised_larger=found[larger.name],
        centralised_balanced=found["pooled, sites balanced"],
    )


def _measure(task: _Task) -> Measured:
    torch.set_num_threads(1)  # two processes share the cores; each of them thinks that it has all
    with threadpool_limits(1):
        test_set = _labelled(task.spec, task.test, task.scratch)
        bank, local = alone(task.spec, task.name, task.paths, task.rows, task.scratch)
        return test_set.measured(test_set.scores(task.spec.the_settings.score, bank, local))


def _prepare(spec: JobSpec, test: Path, scratch: Path) -> None:
    _labelled(spec, test, scratch)


def _labelled(spec: JobSpec, test: Path, scratch: Path) -> LabelledSet:
    return LabelledSet(labelled_images(test), spec.the_settings.features, scratch / "test")


def alone(spec: JobSpec, name: str, paths: Sequence[Path], rows: int, scratch: Path) -> tuple[Arrays, Arrays]:
    """The final memory and the site's own arrays of a job with one site that keeps all its rows."""
    settings = {
        **spec.settings,
        "memory": {**spec.settings["memory"], "rows": rows, "reduce": False},
        "aggregation": {"kmeans": False, "rows": rows},
    }
    job = spec.model_copy(update={"settings": settings})
    data = site_data(name, paths, scratch)
    result = simulate(job, {name: data})
    seed = derive_seed(spec.seed, spec.rounds.count, name, "install")
    local = job.the_method.install(job.the_settings, data, result.final, result.states[name], seed, silent)
    return result.final, local
