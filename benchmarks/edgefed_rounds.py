"""EdgeFed as it comes: coordinator and agents as processes, mutual TLS on loopback, jobs of `plugins/adder.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.plugins.adder import Settings, start
from benchmarks.processes import PeakMemory, with_descendants
from edgefed.local_federation import LocalFederation
from protos.tensors import read_tensors

PLUGINS = Path(__file__).parent / "plugins"


@dataclass(frozen=True)
class Rounds:
    """What a job of the adder took.

    Attributes:
        seconds: of each round, from its opening to its closing; the first one has no model to send out.
        memory_mb: most that the coordinator and its worker held.
        added: to the model's values by all rounds, against the model that the first round starts from.
    """

    seconds: Sequence[float]
    memory_mb: float
    added: float


@contextmanager
def federation(folder: Path, sites: int) -> Iterator[LocalFederation]:
    """A coordinator and `sites` agents that have joined it, wait for work, and may send weights."""
    with LocalFederation(folder.resolve(), environment={"PYTHONPATH": str(PLUGINS)}) as running:
        running.start_coordinator()
        for name in (f"site-{number}" for number in range(sites)):
            running.join(name, None)
            contract = running.site_state(name) / "site.toml"
            contract.write_text(contract.read_text().replace('["memory-bank"]', '["weights"]'))
            running.run_site(name)
        yield running


def run_adder(running: LocalFederation, *, rounds: int, arrays: int, values: int) -> Rounds:
    """One job from its submission to its end."""
    job_file = running.folder / "job.toml"
    job_file.write_text(
        f'name = "adder"\nmethod = "adder"\n[rounds]\ncount = {rounds}\n[adder]\narrays = {arrays}\nvalues = {values}\n'
    )
    coordinator = running.pid("coordinator")
    with PeakMemory(lambda: with_descendants(coordinator)) as peak:
        status = running.job("watch", running.submit(job_file))
    return Rounds([past["seconds"] for past in status["history"]], peak.mb, _added(running, status))


def _added(running: LocalFederation, status: Mapping[str, Any]) -> float:
    digest = status["global_digest"]
    final = read_tensors(running.coordinator_state / "artifacts" / digest[:2] / digest)
    first = start(Settings(**status["spec"]["settings"]))["array00"][1:1000]
    return float(np.subtract(final["array00"][1:1000], first).mean())
