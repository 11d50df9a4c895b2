"""Rounds of 4 sites with a model of 100 MB: receive it, add 0.01, send it back, average. Against Flower.

EdgeFed runs as users run it, with mutual TLS, every artifact hashed and written durably, and updates checked before
they count; Flower as it comes, without TLS. Both hold 20 float32 arrays of 5 MB. A round lasts from its opening to
its closing on the coordinator's side. EdgeFed's first round sends no model out but starts the sites' training
processes; it stands apart. Memory is the most that the processes of the coordinator's side held, all rounds and the
averaging included.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.edgefed_rounds import federation, run_adder
from benchmarks.flower import NAME, Flower
from benchmarks.peer_environments import PEERS, PeerMissing
from benchmarks.processes import PeakMemory
from benchmarks.result import Result

_SITES = 4
_ARRAYS, _VALUES = 20, 1_250_000
_ROUNDS = 5
_PEER_ROUNDS = 3
_STEP = 0.01


def run() -> list[Result]:
    """Seconds a round and MB on the coordinator's side. Raises `AssertionError` where a side averaged wrongly."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PEERS) as folder, federation(Path(folder), _SITES) as running:
        ours = run_adder(running, rounds=_ROUNDS, arrays=_ARRAYS, values=_VALUES)
    assert abs(ours.added - _STEP * _ROUNDS) < 1e-4, ours
    seconds: list[float] = []
    memory: list[float] = []
    skipped = ""
    try:
        seconds, memory = _flower()
    except PeerMissing as reason:
        skipped = str(reason)
    peer = f"{NAME} FedAvg, {_SITES} SuperNodes"
    return [
        Result(name="flower_round.seconds", unit="s", peer_name=peer, ours=ours.seconds[1:], peer=seconds,
               target=0.2, skipped=skipped),
        Result(name="flower_round.first_seconds", unit="s", peer_name=peer, ours=ours.seconds[:1], peer=seconds[:1],
               skipped=skipped),
        Result(name="flower_round.memory", unit="MB", peer_name=f"{peer}: SuperLink + SuperExec + ServerApp",
               ours=[ours.memory_mb], peer=memory, target=0.2, skipped=skipped),
    ]  # fmt: skip


def _flower() -> tuple[list[float], list[float]]:
    with (
        tempfile.TemporaryDirectory(dir=PEERS) as folder,
        Flower(Path(folder), _SITES) as flower,
        PeakMemory(lambda: flower.processes("superlink")) as peak,
    ):
        found = flower.run(rounds=_PEER_ROUNDS, arrays=_ARRAYS, values=_VALUES)
    assert abs(found["added"] - _STEP * _PEER_ROUNDS) < 1e-4, found
    return found["round_s"], [peak.mb]
