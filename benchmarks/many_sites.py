"""Memory of a coordinator and its worker while sites send updates of 100 MB: 32 sites against 2.

A site's update differs from the others' in one value, so that each is stored: about 3.5 GB of disk, for a while.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.edgefed_rounds import PLUGINS
from benchmarks.light_sites import connected, enrol
from benchmarks.peer_environments import PEERS
from benchmarks.plugins.adder import STEP, Settings, start
from benchmarks.processes import PeakMemory, with_descendants
from benchmarks.result import Result
from edge_client.identity import Identity
from edgefed.local_federation import LocalFederation
from protos.tensors import write_tensors

_FEW, _MANY = 2, 32
_ARRAYS, _VALUES = 10, 2_500_000  # float32: 100 MB


def run() -> list[Result]:
    """Megabytes at the peak, of the coordinator and its worker together."""
    PEERS.mkdir(parents=True, exist_ok=True)
    few, many = (_peak_mb(sites) for sites in (_FEW, _MANY))
    return [
        Result(name="many_sites.memory", unit="MB", peer_name=f"EdgeFed with {_FEW} sites, {_MANY} against them",
               ours=[many], peer=[few], target=1.1),
    ]  # fmt: skip


def _peak_mb(sites: int) -> float:
    environment = {"PYTHONPATH": str(PLUGINS)}
    with (
        tempfile.TemporaryDirectory(dir=PEERS) as folder,
        LocalFederation(Path(folder).resolve(), environment=environment) as running,
    ):
        running.start_coordinator()
        identities = enrol(running, sites)
        content = running.folder / "update.safetensors"
        write_tensors(content, start(Settings(arrays=_ARRAYS, values=_VALUES)))
        job_file = running.folder / "job.toml"
        settings = f"arrays = {_ARRAYS}\nvalues = {_VALUES}"
        job_file.write_text(f'name = "large"\nmethod = "adder"\n[rounds]\ncount = 1\n[adder]\n{settings}\n')
        coordinator = running.pid("coordinator")
        with PeakMemory(lambda: with_descendants(coordinator)) as peak:
            job = running.submit(job_file)
            asyncio.run(_deliver(identities, content))
            running.job("watch", job)
        return peak.mb


async def _deliver(identities: Sequence[Identity], content: Path) -> None:
    sites = connected(identities, content, at=content.stat().st_size - 1)
    await asyncio.gather(*(site.take_part({"step": str(STEP)}) for site in sites))
    for site in sites:
        await site.connection.__aexit__(None, None, None)
