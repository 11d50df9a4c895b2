"""`edgefed demo anomaly`: from invitation to verdict on real solar-cell images, and what it is worth."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from edgefed.demo.anomaly.comparison import compare
from edgefed.demo.anomaly.figures import Figures, sizes_of
from edgefed.demo.anomaly.pictures import Picture, draw_pictures
from edgefed.demo.anomaly.plants import Split, deal, load_cells, write_folders
from edgefed.demo.anomaly.report import print_table, write_report
from edgefed.demo.folder import prepare_folder
from edgefed.demo.processes import ENVIRONMENT, interrupted_by_sigterm, peak_memory
from edgefed.local_federation import LocalFederation
from protos.jobs import load_job

JOB = (Path(__file__).parent / "job.toml").read_text()


def run(*, seed: int, folder: Path, as_json: bool) -> None:
    """Runs the demo and prints its figures.

    Args:
        seed: of the split, the training and the aggregation.
        folder: of the demo; what an earlier run left there is removed.
        as_json: print one JSON document on stdout instead of the table.

    Raises:
        InvalidInput: the folder holds something that is not a demo's.
    """
    started = time.monotonic()
    console = Console(stderr=True)
    folder = prepare_folder(folder.absolute())
    split = deal(load_cells(), seed)
    sites, test = write_folders(split, folder / "data")
    job_file = folder / "job.toml"
    job_file.write_text(f"seed = {seed}\n{JOB}")
    with interrupted_by_sigterm():
        outcome = _federate(folder, split, sites, test, job_file, console)
        console.print("[bold]4/4[/bold] for comparison: each plant alone, and the pooled images")
        spec = load_job(job_file)
        comparison = compare(spec, sites, test, folder / "comparison", console)
    figures = Figures(
        split=split, spec=spec, outcome=outcome, comparison=comparison, sizes=sizes_of(spec),
        seconds=time.monotonic() - started, report=folder / "report.html",
    )  # fmt: skip
    write_report(figures)
    if as_json:
        print(json.dumps(figures.as_json(), indent=1))
    else:
        print_table(figures, Console())


@dataclass(frozen=True)
class Outcome:
    """What the live federation gave.

    Attributes:
        status: the job's final status, as `edgefed job watch --json` prints it.
        evaluations: site -> what `edgefed client evaluate --json` prints on the common test set.
        ledgers: site -> what `edgefed client ledger --json` prints.
        pictures: heat maps of the first test cells of each kind.
        peak_memory: of all processes together, in bytes.
    """

    status: Mapping[str, Any]
    evaluations: Mapping[str, Mapping[str, Any]]
    ledgers: Mapping[str, Mapping[str, Any]]
    pictures: list[Picture]
    peak_memory: int


def _federate(
    folder: Path, split: Split, sites: Mapping[str, Path], test: Path, job_file: Path, console: Console
) -> Outcome:
    with LocalFederation(folder, environment=ENVIRONMENT) as federation, peak_memory(federation) as peak:
        console.print(f"[bold]1/4[/bold] a coordinator and {len(sites)} plants start, each a process of its own")
        federation.start_coordinator()
        for site, images in sites.items():
            federation.join(site, images)
            federation.run_site(site)
        console.print("[bold]2/4[/bold] they federate: memory banks travel, images stay")
        status = federation.job("watch", federation.submit(job_file), show_progress=True)
        console.print("[bold]3/4[/bold] every plant judges the common test set with its own installed model")
        evaluations = federation.at_sites(sites, "evaluate", "--data", str(test))
        pictures = draw_pictures(federation, split, folder / "pictures")
        ledgers = {site: federation.client(site, "ledger") for site in sites}
    return Outcome(status, evaluations, ledgers, pictures, peak[0])
