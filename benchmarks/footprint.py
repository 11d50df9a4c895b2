"""What EdgeFed costs while nothing happens: memory of an idle agent and coordinator, and seconds of `--help`.

Flower's figures are those of its idle SuperNode and SuperLink, each with the SuperExec that it starts by itself.
Memory is resident set size (VmRSS), once everything has been connected and quiet for some seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.edgefed_rounds import federation
from benchmarks.flower import NAME, QUIET, Flower
from benchmarks.peer_environments import FLOWER, PEERS, PeerMissing, environment
from benchmarks.processes import memory_mb, with_descendants
from benchmarks.result import Result

_SETTLE_S = 25.0
_LOOKS = 5
_HELP_REPEATS = 7


def run() -> list[Result]:
    """Megabytes of each side's idle processes, and seconds until the help is printed."""
    PEERS.mkdir(parents=True, exist_ok=True)
    agent, coordinator = _edgefed()
    node: list[float] = []
    link: list[float] = []
    flower_help: list[float] = []
    skipped = ""
    try:
        node, link = _flower()
        flower_help = _help([str(environment("flower", FLOWER) / "flwr"), "--help"], QUIET)
    except PeerMissing as reason:
        skipped = str(reason)
    edgefed_help = _help([str(Path(sys.executable).with_name("edgefed")), "--help"], {})
    return [
        Result(name="footprint.agent", unit="MB", peer_name=f"{NAME} SuperNode + SuperExec, idle",
               ours=agent, peer=node, limit=80, skipped=skipped),
        Result(name="footprint.coordinator", unit="MB", peer_name=f"{NAME} SuperLink + SuperExec, idle",
               ours=coordinator, peer=link, limit=120, skipped=skipped),
        Result(name="footprint.help", unit="s", peer_name=f"{NAME} flwr --help",
               ours=edgefed_help, peer=flower_help, limit=0.4, skipped=skipped),
    ]  # fmt: skip


def _edgefed() -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory(dir=PEERS) as folder, federation(Path(folder), sites=2) as running:
        time.sleep(_SETTLE_S)
        agents, coordinators = [], []
        for _ in range(_LOOKS):
            agents.append(memory_mb(with_descendants(running.pid("site-0"))))
            coordinators.append(memory_mb(with_descendants(running.pid("coordinator"))))
            time.sleep(1)
    return agents, coordinators


def _flower() -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory(dir=PEERS) as folder, Flower(Path(folder), sites=2) as flower:
        time.sleep(_SETTLE_S)
        nodes, links = [], []
        for _ in range(_LOOKS):
            nodes.append(memory_mb(flower.processes("supernode-0")))
            links.append(memory_mb(flower.processes("superlink")))
            time.sleep(1)
    return nodes, links


def _help(command: Sequence[str], more: Mapping[str, str]) -> list[float]:
    seconds = []
    for _ in range(_HELP_REPEATS):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, **more})
        seconds.append(time.perf_counter() - start)
    return seconds
