"""Rounds of a `wsa` job with SFormer small at the quadrants of Indian Pines that train one step: what a round costs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.indian_pines import CLASSES, quadrants
from benchmarks.peer_environments import PEERS
from benchmarks.processes import cpu_s, with_descendants
from benchmarks.result import Result
from edge_client.site_data import SiteReader
from edgefed.local_federation import LocalFederation
from models.method import derive_seed
from models.wsa.networks import NETWORKS
from protos.jobs import load_job
from protos.tensors import read_tensors

_ROUNDS = 40
_WARM = 2  # the first adds up bands; in the second the sites load their networks
_JOB = """
name = "fields"
method = "wsa"
[rounds]
count = {rounds}
[wsa]
network = "sformer-small"
classes = {classes}
training = {{ steps = 1, batch = 2 }}
"""
_SITE = '[data]\ncube = "field.npz"\nlabels = "field.npz"\n[egress]\nallow = ["weights"]\nmax_bytes = 10_000_000\n'


def run() -> list[Result]:
    """Seconds a round, beside what one site does in it, and processor time: there is next to no training in them."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PEERS) as folder:
        with LocalFederation(Path(folder).resolve(), environment={"EDGEFED_THREADS": "1"}) as running:
            job_file = _start(running)
            job = running.submit(job_file)
            cpu = _cpu_of_a_round(running, job)
            status = running.job("watch", job)
        rounds = [past["seconds"] for past in status["history"]][_WARM:]
        alone = _alone(sorted((running.folder / "sites").iterdir())[0], job_file)
    return [
        Result(name="wsa_round.seconds", unit="s", peer_name="the work of one of the four sites in it, in one process",
               ours=rounds, peer=alone, limit=0.5),
        Result(name="wsa_round.cpu_seconds", unit="s", peer_name="of all processes together, whatever else runs",
               ours=[cpu]),
    ]  # fmt: skip


def _start(running: LocalFederation) -> Path:
    sites, _ = quadrants("random", NETWORKS["sformer-small"].window, 0, running.folder)
    running.start_coordinator()
    for site, data in sites.items():
        running.join(site, None)
        state, field = running.site_state(site), data.scenes[0]
        np.savez(state / "field.npz", cube=field.cube, gt=field.labels, class_names=np.array(field.class_names))
        (state / "site.toml").write_text(_SITE)
        running.run_site(site)
    job_file = running.folder / "job.toml"
    job_file.write_text(_JOB.format(rounds=_ROUNDS, classes=list(CLASSES)))
    return job_file


def _cpu_of_a_round(running: LocalFederation, job: str) -> float:
    """Processor time of coordinator, agents and their workers, by the mean of the rounds after the first ones."""
    names = ["coordinator", *(folder.name for folder in (running.folder / "sites").iterdir())]
    marks = []
    for wanted in (_WARM, _ROUNDS // 2):
        while (done := len(running.job("show", job)["history"])) < wanted:
            time.sleep(0.5)
        marks.append((done, sum(cpu_s(pid) for name in names for pid in with_descendants(running.pid(name)))))
    (first, before), (last, after) = marks
    return (after - before) / (last - first)


def _alone(site: Path, job_file: Path) -> list[float]:
    """What a site's worker does in a round, without a federation around it."""
    spec, reader, seconds = load_job(job_file), SiteReader(), list[float]()
    model = read_tensors(site / "models" / "fields" / "global.safetensors")
    for number in range(_ROUNDS):
        started = time.perf_counter()
        data = reader.read(site, site / "jobs" / "fields", spec, lambda *progress: None)
        seed = derive_seed(spec.seed, number, data.site)
        spec.the_method.local_update(spec.the_settings, data, model, {}, seed, lambda *progress: None)
        seconds.append(time.perf_counter() - started)
    return seconds[_WARM:]
