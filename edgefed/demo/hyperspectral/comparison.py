"""What the same method gives otherwise: a site alone, pooled pixels, no alignment, other draws; and the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from edgefed.demo.hyperspectral.alternatives import Measured, Task, Work
from edgefed.demo.hyperspectral.fields import FIELDS, Kind
from edgefed.demo.processes import leave_interrupts_to_the_parent
from protos.jobs import JobSpec

DRAWS = 5  # of blocks: results swing with the draw more than with anything else


@dataclass(frozen=True)
class Comparison:
    """The federation's alternatives.

    Attributes:
        local: site -> its own pixels alone.
        mean_only: the federation without alignment.
        centralised: the pooled training pixels.
        svm: the window baseline on the pooled training pixels.
        draws: the federation on several disjoint draws; none where the demo's own split is the first of them.
        draws_svm: the baseline on the same draws.
        random: the federation on a random split; None where the demo's own is one.
        random_svm: the baseline on a random split.
    """

    local: Mapping[str, Measured]
    mean_only: Measured
    centralised: Measured
    svm: Measured
    draws: tuple[Measured, ...]
    draws_svm: tuple[Measured, ...]
    random: Measured | None
    random_svm: Measured


def compare(spec: JobSpec, kind: Kind, scratch: Path, console: Console) -> Comparison:
    """Measures every alternative, two at a time.

    Args:
        spec: the federation's job; its seed is that of the split, too.
        kind: of the split that the federation used.
        scratch: a folder for the simulated sites.
        console: gets a line as each alternative is done.
    """
    seeds = [spec.seed + index for index in range(DRAWS)]
    others = seeds[1:] if kind == "disjoint" else seeds  # the federation itself is the first draw
    tasks = [
        Task("pooled", kind, spec.seed, "pooled", map=True),
        Task("no alignment", kind, spec.seed, "fields", aligned=False),
        *(Task(site, kind, spec.seed, site, map=True) for site in FIELDS),
        *(Task(f"draw {seed}", "disjoint", seed, "fields") for seed in others),
        *([Task("random", "random", spec.seed, "fields")] if kind == "disjoint" else []),
        *(Task(f"SVM, draw {seed}", "disjoint", seed, "svm") for seed in seeds),
        Task("SVM, random", "random", spec.seed, "svm"),
    ]
    found: dict[str, Measured] = {}
    with get_context("spawn").Pool(2, leave_interrupts_to_the_parent) as pool:
        for task, measured in zip(tasks, pool.imap(Work(spec, scratch), tasks), strict=True):
            found[task.name] = measured
            console.print(f"    {task.name}: {measured.accuracy.oa:.3f}")
    draws_svm = tuple(found[f"SVM, draw {seed}"] for seed in seeds)
    return Comparison(
        local={site: found[site] for site in FIELDS},
        mean_only=found["no alignment"],
        centralised=found["pooled"],
        svm=draws_svm[0] if kind == "disjoint" else found["SVM, random"],
        draws=tuple(found[f"draw {seed}"] for seed in others),
        draws_svm=draws_svm,
        random=found.get("random"),
        random_svm=found["SVM, random"],
    )
