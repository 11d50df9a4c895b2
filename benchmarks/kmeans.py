"""Lloyd's steps on 40,000 samples of 512 features with 784 centres: ours, scikit-learn's, and the machine's limit.

All start from the same centres and make the same number of passes. The limit of a pass is the matrix product in it,
2 n k d operations, at the highest rate that a square float32 product reached in this run. Everything runs in one
thread: with more, a busy machine is measured and not the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from benchmarks.result import Result
from models.kmeans import lloyd

_SAMPLES, _FEATURES, _CENTRES = 40_000, 512, 784
_STEPS = 8
_REPEATS = 5
_SQUARE = 4096


def run() -> list[Result]:
    """Seconds of one pass. Raises `AssertionError` where the two k-means did not do the same work."""
    with threadpool_limits(1):
        return _measure()


def _measure() -> list[Result]:
    samples, centres = _mixture()
    weight = np.ones(len(samples), np.float32)
    ours, peer, rates = [], [], []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        found = lloyd(samples, centres, weight, _STEPS)
        ours.append((time.perf_counter() - start) / _STEPS)
        theirs = KMeans(_CENTRES, init=centres, n_init=1, max_iter=_STEPS, tol=0, algorithm="lloyd")
        start = time.perf_counter()
        theirs.fit(samples)
        # scikit-learn assigns the samples once more after the last step.
        peer.append((time.perf_counter() - start) / (theirs.n_iter_ + 1))
        assert theirs.n_iter_ == _STEPS and abs(found.inertia / theirs.inertia_ - 1) < 0.01, "not the same passes"
        rates.append(_rate())
    limit = [2 * _SAMPLES * _CENTRES * _FEATURES / max(rates)]
    return [
        Result(name="kmeans.pass", unit="s", peer_name="scikit-learn KMeans, Lloyd, one thread", ours=ours, peer=peer),
        Result(
            name="kmeans.limit",
            unit="s",
            peer_name="the matrix product alone, one thread at peak rate",
            ours=ours,
            peer=limit,
        ),
    ]


def _mixture() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Samples around 1,000 points, none of them far from its neighbours, and centres drawn from the samples."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((1000, _FEATURES), dtype=np.float32)
    noise = rng.standard_normal((_SAMPLES, _FEATURES), dtype=np.float32)
    samples = points[rng.integers(0, len(points), _SAMPLES)] + noise
    return samples, samples[rng.choice(_SAMPLES, _CENTRES, replace=False)]


def _rate() -> float:
    """Operations per second of a 4096 x 4096 float32 product, by the faster of NumPy's and PyTorch's libraries."""
    matrix = np.random.default_rng(0).standard_normal((_SQUARE, _SQUARE), dtype=np.float32)
    tensor = torch.from_numpy(matrix)
    fastest = min(_seconds(lambda: matrix @ matrix), _seconds(lambda: tensor @ tensor))
    return float(2 * _SQUARE**3 / fastest)


def _seconds(product: Callable[[], object]) -> float:
    product()
    start = time.perf_counter()
    product()
    return time.perf_counter() - start
