"""A job of weights once: sites with a cube each, over mutual TLS, give the bytes that a simulation gives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from edge_client.site_data import SiteReader
from edgefed.local_federation import LocalFederation
from edgefed.simulation import simulate
from models.wsa.history import deviations
from models.wsa.published import SPREAD
from protos.artifacts import digest_of_file
from protos.jobs import load_job
from protos.tensors import read_tensors, write_tensors

JOB = """
name = "fields"
method = "wsa"
seed = 3
[rounds]
count = 4
sites = ["field-1", "field-2"]
[wsa]
classes = ["soil", "water", "corn"]
network = "spectral-mlp"
head_after = 2
bands = { components = 5 }
training = { optimiser = "sgd", learning_rate = 0.05, steps = 20 }
alignment = { mode = "always" }
"""
SITE = """
[data]
cube = "cube.npz"
labels = "labels.npz"
classes = ["soil", "water", "corn"]
[egress]
allow = ["weights"]
max_bytes = 1_000_000
"""


@dataclass(frozen=True)
class Finished:
    federation: LocalFederation
    status: dict[str, Any]
    job_file: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("weights")
    job_file = folder / "job.toml"
    job_file.write_text(JOB)
    with LocalFederation(folder / "run", environment={"EDGEFED_THREADS": "1"}) as federation:
        federation.start_coordinator()
        for seed, site in enumerate(("field-1", "field-2")):
            federation.join(site, None)
            _write_scene(federation.site_state(site), seed)
            federation.run_site(site)
        status = federation.job("watch", federation.submit(job_file))
        yield Finished(federation, status, job_file)


def _write_scene(site: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (10, 12)).astype(np.int16)
    means = np.random.default_rng(9).integers(500, 3000, (4, 16))
    np.savez(site / "cube.npz", cube=(means[labels] + rng.integers(-80, 80, (10, 12, 16))).astype(np.uint16))
    np.savez(site / "labels.npz", labels=labels)
    (site / "site.toml").write_text(SITE)


def test_the_live_job_ends_with_the_bytes_of_a_simulation(finished: Finished, tmp_path: Path) -> None:
    assert finished.status["phase"] == "finished", finished.status["reason"]
    spec = load_job(finished.job_file)
    sites = {
        site: SiteReader().read(finished.federation.site_state(site), tmp_path, spec, lambda *progress: None)
        for site in spec.rounds.sites
    }
    with threadpool_limits(1):
        write_tensors(tmp_path / "final", simulate(spec, sites).final)
    assert digest_of_file(tmp_path / "final") == finished.status["global_digest"]


def test_the_record_holds_the_spread_of_the_sites_scopes(finished: Finished) -> None:
    first, *trained, last = (past["metrics"] for past in finished.status["history"])
    assert first == {} == last  # sums alone
    for metrics in trained:
        assert set(metrics) == {"scope_spread", "aligning", "scope_apart/field-1", "scope_apart/field-2"}
    printed = subprocess.run(
        [sys.executable, "-m", "edgefed", "job", "report", "fields", "--state", finished.federation.coordinator_state],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "300"},
    )  # fmt: skip
    assert f"scope_spread {trained[-1]['scope_spread']:.3g}" in printed.stdout
    model = finished.federation.site_state("field-1") / "models" / "fields" / "global.safetensors"
    assert trained[-1]["scope_spread"] == pytest.approx(float(read_tensors(model)[SPREAD].mean()), rel=1e-5)


def test_each_layers_scope_at_each_site_is_kept_over_the_rounds(finished: Finished) -> None:
    models = {site: finished.federation.site_state(site) / "models" / "fields" for site in ("field-1", "field-2")}
    final = read_tensors(models["field-1"] / "global.safetensors")
    states = {site: read_tensors(model / "local.safetensors") for site, model in models.items()}
    found = np.array(list(deviations(final, states).values()))
    assert found.shape == (2, 2, 2)  # layers, rounds of training, sites
    spreads = (found.std(axis=2) / found.mean(axis=2)).mean(axis=0)
    recorded = [past["metrics"]["scope_spread"] for past in finished.status["history"][1:3]]
    assert spreads == pytest.approx(recorded, abs=1e-6)  # kept as float32


def test_a_few_numbers_a_layer_are_all_that_alignment_costs(finished: Finished) -> None:
    model = read_tensors(finished.federation.site_state("field-1") / "models" / "fields" / "global.safetensors")
    scopes = sum(array.nbytes for name, array in model.items() if name in ("wsa.target", "wsa.spread", "wsa.active"))
    layers = sum(name.endswith(".weight") for name in model)
    assert scopes <= 12 * layers + 1
