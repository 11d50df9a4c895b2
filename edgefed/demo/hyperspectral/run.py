"""`edgefed demo hyperspectral`: four fields learn one map of crops, and what that is worth."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from edge_client.cubes.geotiff import read_tiff_plane
from edgefed.demo.folder import prepare_folder
from edgefed.demo.hyperspectral.alternatives import measured_map
from edgefed.demo.hyperspectral.comparison import compare
from edgefed.demo.hyperspectral.fields import FIELDS, Draw, Kind, draw, indian_pines, write_field
from edgefed.demo.hyperspectral.figures import Figures
from edgefed.demo.hyperspectral.report import print_table, write_report
from edgefed.demo.processes import ENVIRONMENT, interrupted_by_sigterm, peak_memory
from edgefed.local_federation import LocalFederation
from models.wsa.history import deviations
from models.wsa.networks import NETWORKS
from protos.jobs import load_job
from protos.tensors import read_tensors

JOB: Final = (Path(__file__).parent / "job.toml").read_text()


def run(*, seed: int, kind: Kind, folder: Path, as_json: bool) -> None:
    """Runs the demo and prints its figures.

    Args:
        seed: of the split, the training and the aggregation.
        kind: of the split.
        folder: of the demo; what an earlier run left there is removed.
        as_json: print one JSON document on stdout instead of the table.

    Raises:
        InvalidInput: the folder holds something that is not a demo's.
    """
    started = time.monotonic()
    console = Console(stderr=True)
    folder = prepare_folder(folder.absolute())
    job_file = folder / "job.toml"
    job_file.write_text(f"seed = {seed}\n{JOB}")
    spec = load_job(job_file)
    drawn = draw(kind, seed, NETWORKS[spec.the_settings.network].window)
    with interrupted_by_sigterm():
        outcome = _federate(folder, drawn, job_file, console)
        console.print("[bold]4/4[/bold] for comparison: each field alone, the pooled pixels, other draws of the split")
        comparison = compare(spec, kind, folder / "comparison", console)
    figures = Figures(
        drawn=drawn, spec=spec, outcome=outcome, federated=measured_map(drawn, outcome.map), comparison=comparison,
        seconds=time.monotonic() - started, report=folder / "report.html",
    )  # fmt: skip
    write_report(figures)
    if as_json:
        print(json.dumps(figures.as_json(), indent=1))
    else:
        print_table(figures, Console())


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the live federation gave.

    Attributes:
        status: the job's final status, as `edgefed job watch --json` prints it.
        ledgers: site -> what `edgefed client ledger --json` prints.
        map: (h, w) the class of every pixel of the scene, by a site's installed model.
        scopes: layer -> the deviations (r, s) of its weights over r rounds of training at s sites.
        peak_memory: of all processes together, in bytes.
    """

    status: Mapping[str, Any]
    ledgers: Mapping[str, Mapping[str, Any]]
    map: NDArray[np.int16]
    scopes: Mapping[str, NDArray[np.float64]]
    peak_memory: int


def _federate(folder: Path, drawn: Draw, job_file: Path, console: Console) -> Outcome:
    with LocalFederation(folder, environment=ENVIRONMENT) as federation, peak_memory(federation) as peak:
        console.print(f"[bold]1/4[/bold] a coordinator and {len(FIELDS)} fields start, each a process of its own")
        federation.start_coordinator()
        for site, field in drawn.fields.items():
            federation.join(site, *write_field(field, folder / "data" / site))
            federation.run_site(site)
        console.print("[bold]2/4[/bold] they federate: weights travel, pixels and labels stay")
        job = federation.submit(job_file)
        status = federation.job("watch", job, show_progress=True)
        console.print("[bold]3/4[/bold] a field classifies the whole scene with its own installed model")
        found = _map(federation, folder / "scene")
        ledgers = {site: federation.client(site, "ledger") for site in FIELDS}
        models = {site: federation.site_state(site) / "models" / job for site in FIELDS}
        own = {site: read_tensors(folder / "local.safetensors") for site, folder in models.items()}
        scopes = deviations(read_tensors(models[FIELDS[0]] / "global.safetensors"), own)
    return Outcome(status, ledgers, found, scopes, peak[0])


def _map(federation: LocalFederation, folder: Path) -> NDArray[np.int16]:
    folder.mkdir()
    scene = indian_pines()
    np.savez(folder / "indian-pines.npz", cube=scene.cube, wavelengths=np.asarray(scene.wavelengths))
    federation.client(FIELDS[0], "infer", str(folder / "indian-pines.npz"), "--maps", str(folder / "maps"))
    classes, _ = read_tiff_plane(folder / "maps" / "indian-pines.tif")
    return classes.astype(np.int16)
