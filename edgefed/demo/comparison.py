"""What the same method gives without a federation: each site alone, and the pooled images in one place.

The jobs are simulated with the live method values. All are measured on one common test set; the bank of a site alone
and of the pooled images is as large as the federation's global memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from edge_client.datasets import labelled_images, training_images
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


def compare(spec: JobSpec, sites: Mapping[str, Path], test: Path, scratch: Path, console: Console) -> Comparison:
    """Measures every alternative on the test images under `test`.

    Args:
        spec: the federation's job.
        sites: name -> data folder.
        test: folder of the common test set, a product folder for each product.
        scratch: for features.
        console: gets a line as each alternative is done.
    """
    images = {site: training_images(folder).images for site, folder in sites.items()}
    settings = spec.the_settings
    test_set = LabelledSet(labelled_images(test), settings.features, scratch / "test")
    rows = settings.aggregation.rows

    def measure(name: str, paths: Sequence[Path], rows: int) -> Alternative:
        measured = test_set.measured(test_set.scores(settings.score, *alone(spec, name, paths, rows, scratch)))
        console.print(f"    {name}: {measured.union:.3f}")
        return Alternative(measured, rows)

    pooled = [path for paths in images.values() for path in paths]
    largest = max(len(paths) for paths in images.values())
    balanced = [paths[index % len(paths)] for paths in images.values() for index in range(largest)]
    return Comparison(
        local={site: measure(f"{site} alone", paths, rows) for site, paths in images.items()},
        centralised=measure("pooled, equal rows", pooled, rows),
        centralised_larger=measure("pooled, larger bank", pooled, rows * len(sites)),
        centralised_balanced=measure("pooled, sites balanced", balanced, rows),
    )


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
