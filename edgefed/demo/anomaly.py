"""`edgefed demo anomaly`: from invitation to verdict on real solar-cell images, and what it is worth."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from edgefed.demo.comparison import compare
from edgefed.demo.figures import Figures, sizes_of
from edgefed.demo.pictures import Picture, draw_pictures
from edgefed.demo.plants import Split, deal, load_cells, write_folders
from edgefed.demo.report import print_table, write_report
from edgefed.local_federation import LocalFederation, end_leftovers
from protos.errors import InvalidInput
from protos.jobs import load_job

MARKER = ".edgefed-demo"
JOB = (Path(__file__).parent / "job.toml").read_text()
# One thread for each of the three training processes: the machine may have two cores, and they share them.
ENVIRONMENT = {"EDGEFED_THREADS": "1", "OMP_NUM_THREADS": "1"}


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
    with _interrupted_by_sigterm():
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


def default_folder() -> Path:
    """`edgefed/demo` in the user's state folder."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "edgefed" / "demo"


def prepare_folder(folder: Path) -> Path:
    """An empty folder for a run; ends processes and removes files that an earlier run left there."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise InvalidInput(f"{folder} is not empty and was not made by the demo; name another with --state")
        end_leftovers(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder


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
    with LocalFederation(folder, environment=ENVIRONMENT) as federation, _peak_memory(federation) as peak:
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


@contextmanager
def _peak_memory(federation: LocalFederation) -> Iterator[list[int]]:
    peak, stop = [0], threading.Event()

    def sample() -> None:
        while not stop.wait(0.5):
            peak[0] = max(peak[0], federation.memory_bytes())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        stop.set()
        sampler.join()


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    # A demo that is ended by its supervisor takes its processes with it, as Ctrl-C does.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
