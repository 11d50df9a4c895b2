"""What connected sites with nothing to do cost a coordinator: 200 against 20, each on a TLS connection of its own.

python -m benchmarks.idle_sites 300     # for five minutes, and nothing but that
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.light_sites import LightSite, connected, enrol
from benchmarks.peer_environments import PEERS
from benchmarks.processes import cpu_s, memory_mb
from benchmarks.result import Result
from edge_client.identity import Identity
from edgefed.local_federation import LocalFederation

_MANY, _FEW = 200, 20
_SECONDS = 60.0
_SETTLE_S = 5.0


def run(seconds: float = _SECONDS) -> list[Result]:
    """Cores, and megabytes of the coordinator."""
    PEERS.mkdir(parents=True, exist_ok=True)
    (many_cores, many_mb), (few_cores, few_mb) = (_idle(sites, seconds) for sites in (_MANY, _FEW))
    peer = f"EdgeFed with {_FEW} idle sites, {_MANY} against them"
    return [
        Result(name="idle_sites.cpu", unit="cores", peer_name=peer, ours=[many_cores], peer=[few_cores], limit=0.5),
        Result(name="idle_sites.memory", unit="MB", peer_name=peer, ours=[many_mb], peer=[few_mb]),
    ]


def _idle(sites: int, seconds: float) -> tuple[float, float]:
    with (
        tempfile.TemporaryDirectory(dir=PEERS) as folder,
        LocalFederation(Path(folder).resolve()) as running,
    ):
        running.start_coordinator()
        identities = enrol(running, sites)
        return asyncio.run(_measure(identities, running.pid("coordinator"), seconds))


async def _measure(identities: Sequence[Identity], coordinator: int, seconds: float) -> tuple[float, float]:
    sites = connected(identities)
    polling = [asyncio.create_task(_poll(site)) for site in sites]
    await asyncio.sleep(_SETTLE_S)
    before, began = cpu_s(coordinator), time.monotonic()
    await asyncio.sleep(seconds)
    cores = (cpu_s(coordinator) - before) / (time.monotonic() - began)
    lost = [task for task in polling if task.done()]
    for task in polling:
        task.cancel()
    await asyncio.wait(polling)
    for site in sites:
        await site.connection.__aexit__(None, None, None)
    for task in lost:
        task.result()  # says why: not one of them may end by itself
    return cores, memory_mb([coordinator])


async def _poll(site: LightSite) -> None:
    await site.greet()
    while True:
        await site.ask()


if __name__ == "__main__":
    for result in run(float(sys.argv[1])):
        print(result.to_json())
