"""Rounds of 2 sites with a model of 10 kB, where nothing but the round itself takes time. Against Flower."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.edgefed_rounds import federation, run_adder
from benchmarks.flower import NAME, Flower
from benchmarks.peer_environments import PEERS, PeerMissing
from benchmarks.result import Result

_SITES = 2
_VALUES = 2_500
_ROUNDS = 20
_PEER_ROUNDS = 5


def run() -> list[Result]:
    """Seconds a round without EdgeFed's first, in which training processes start; Flower starts some every round."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PEERS) as folder, federation(Path(folder), _SITES) as running:
        ours = run_adder(running, rounds=_ROUNDS + 1, arrays=1, values=_VALUES)
    seconds: list[float] = []
    skipped = ""
    try:
        with tempfile.TemporaryDirectory(dir=PEERS) as folder, Flower(Path(folder), _SITES) as flower:
            seconds = flower.run(rounds=_PEER_ROUNDS, arrays=1, values=_VALUES)["round_s"]
    except PeerMissing as reason:
        skipped = str(reason)
    return [
        Result(name="empty_round.seconds", unit="s", peer_name=f"{NAME} FedAvg, {_SITES} SuperNodes",
               ours=ours.seconds[1:], peer=seconds, limit=0.3, skipped=skipped),
    ]  # fmt: skip
