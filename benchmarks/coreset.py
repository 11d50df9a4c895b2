"""A bank of 4,096 rows from 40,960 real patches of 152 features: FedDyMem's k-means against greedy k-centre.

Both sides get the same patches in memory and use all cores; the seconds are those of the reduction alone. Then the
same plain scoring (distance to the nearest row, mean of the highest 1 percent) gives each bank its image AUROC on 300
other real images.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peer_environments import ANOMALIB, PEERS, PeerMissing, environment
from benchmarks.real_features import RealFeatures, solar_cell_features
from benchmarks.result import Result
from models.feddymem.bank import first_bank
from models.metrics import auroc
from models.scoring import image_scores, nearest_distance

_ROWS = 4096
_RATIO = 0.1
_REPEATS = 3
_PEER = "anomalib 2.7.0 KCenterGreedy, sampling ratio 0.1"


def run() -> list[Result]:
    """Seconds of the reduction, and image AUROC with the bank that it gave."""
    features = solar_cell_features()
    seconds, areas = _ours(features)
    peer_seconds: list[float] = []
    peer_areas: list[float] = []
    skipped = ""
    try:
        peer_seconds, peer_areas = _anomalib(features)
    except PeerMissing as reason:
        skipped = str(reason)
    return [
        Result(
            name="coreset.seconds", unit="s", peer_name=_PEER, ours=seconds, peer=peer_seconds, target=0.1,
            skipped=skipped,
        ),
        Result(
            name="coreset.image_auroc", unit="AUROC", peer_name=_PEER, ours=areas, peer=peer_areas, skipped=skipped
        ),
    ]  # fmt: skip


def _ours(features: RealFeatures) -> tuple[list[float], list[float]]:
    seconds, areas = [], []
    for seed in range(_REPEATS):
        start = time.perf_counter()
        bank = first_bank(features.training, _ROWS, seed)
        seconds.append(time.perf_counter() - start)
        areas.append(_image_auroc(bank.rows, features))
    return seconds, areas


def _anomalib(features: RealFeatures) -> tuple[list[float], list[float]]:
    python = environment("anomalib", ANOMALIB) / "python"
    script = Path(__file__).with_name("anomalib_coreset.py")
    seconds, areas = [], []
    with tempfile.TemporaryDirectory(dir=PEERS) as folder:
        patches, bank = Path(folder) / "patches.npy", Path(folder) / "bank.npy"
        np.save(patches, features.training)
        for seed in range(_REPEATS):
            command = [str(python), str(script), str(patches), str(_RATIO), str(seed), str(bank)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise PeerMissing(f"anomalib ended with {done.returncode}: {done.stderr.strip().splitlines()[-1]}")
            seconds.append(float(done.stdout.split()[-1]))
            areas.append(_image_auroc(np.load(bank), features))
    return seconds, areas


def _image_auroc(rows: NDArray[np.float32], features: RealFeatures) -> float:
    patches = features.test.reshape(-1, features.test.shape[-1]).astype(np.float32)
    maps = nearest_distance(patches, rows, np.ones(len(rows), np.float32)).reshape(features.test.shape[:3])
    return auroc(image_scores(maps, "top1%", self_normalise=False), features.defective)
