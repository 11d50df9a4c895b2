"""k-means by plain matrix products: deterministic to the bit, which threaded accumulation is not.

Letters: n samples, d features, k centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_CHUNK = 2048  # rows of one product: its (chunk, k) result stays in the cache while it is searched
_SEEDING_PASSES = 16
_TOLERANCE = 1e-4  # a step that lowers the inertia by less than this fraction is the last

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clusters:
    """What k-means found.

    Attributes:
        centres: (k, d) float32, each the weighted mean of its samples.
        labels: (n,) int64, index of the centre that each sample was averaged into.
        weights: (k,) float32, sum of the sample weights per centre, more than 0.
        inertia: weighted sum of the squared distances of the samples to the centres they were assigned to.
    """

    centres: Floats
    labels: NDArray[np.int64]
    weights: Floats
    inertia: float


def kmeans(
    samples: Floats, k: int, seed: int, *, n_init: int = 1, max_iter: int = 25, sample_weight: Floats | None = None
) -> Clusters:
    """Groups samples around k centres; of `n_init` seedings the one with the lowest inertia.

    Args:
        samples: (n, d) float32, finite.
        k: number of centres, at least 1. With k >= n every sample is a centre of its own: nothing is averaged.
        seed: of the seeding; equal seeds and samples give equal bytes.
        n_init: seedings tried.
        max_iter: Lloyd steps at most per seeding.
        sample_weight: (n,) float32 above 0; all 1 if None.

    Raises:
        ValueError: no samples, or k below 1.
    """
    n = len(samples)
    if n == 0 or k < 1:
        raise ValueError(f"k-means cannot make {k} centres of {n} samples")
    weight = np.ones(n, np.float32) if sample_weight is None else sample_weight.astype(np.float32)
    if k >= n:
        return Clusters(samples.copy(), np.arange(n), weight, 0.0)
    rng = np.random.default_rng(seed)
    runs = (lloyd(samples, seed_centres(samples, k, weight, rng), weight, max_iter) for _ in range(n_init))
    return min(runs, key=lambda clusters: clusters.inertia)


def lloyd(samples: Floats, centres: Floats, weight: Floats, max_iter: int) -> Clusters:
    """Lloyd's steps from given (k, d) centres, at least one; a centre that lost all samples takes the farthest one."""
    squares, k, inertia = np.einsum("nd,nd->n", samples, samples), len(centres), np.inf
    for _ in range(max(1, max_iter)):
        labels, distances = assign(samples, centres, squares)
        empty = np.setdiff1d(np.arange(k), labels)
        if len(empty):
            labels[np.argsort(-distances, kind="stable")[: len(empty)]] = empty
        sums = csr_matrix((weight, (labels, np.arange(len(samples)))), shape=(k, len(samples)))
        totals = np.asarray(sums.sum(axis=1), np.float32).reshape(-1)
        # Taking the farthest samples may have emptied their old centres; those keep their place.
        centres = np.where(totals[:, None] > 0, (sums @ samples) / np.maximum(totals, 1e-12)[:, None], centres)
        before, inertia = inertia, float(np.dot(distances.astype(np.float64), weight))
        if before - inertia <= _TOLERANCE * inertia and not len(empty):
            break
    kept = totals > 0
    return Clusters(centres[kept], (np.cumsum(kept) - 1)[labels], totals[kept], inertia)


def seed_centres(samples: Floats, k: int, weight: Floats, rng: np.random.Generator) -> Floats:
    """k-means++ in `_SEEDING_PASSES` draws: each takes k/16 samples at once, likelier the farther they lie.

    One draw at a time, as k-means++ does, reads all samples k times; for thousands of centres that takes longer
    than all Lloyd steps together, and the steps even out what the batches lose.
    """
    squares = np.einsum("nd,nd->n", samples, samples)
    chosen = rng.choice(len(samples), 1, p=weight / weight.sum(dtype=np.float64))
    nearest = np.full(len(samples), np.inf, np.float32)
    added = chosen
    while len(chosen) < k:
        nearest = np.minimum(nearest, assign(samples, samples[added], squares)[1])
        nearest[chosen] = 0.0
        odds = nearest.astype(np.float64) * weight
        wanted = min(-(-k // _SEEDING_PASSES), k - len(chosen), int(np.count_nonzero(odds)))
        if wanted == 0:  # fewer than k distinct samples: repeat some, which Lloyd's steps will move
            chosen = np.concatenate([chosen, rng.choice(len(samples), k - len(chosen))])
            break
        added = rng.choice(len(samples), wanted, replace=False, p=odds / odds.sum())
        chosen = np.concatenate([chosen, added])
    centres: Floats = samples[chosen]
    return centres


def assign(samples: Floats, centres: Floats, squares: Floats | None = None) -> tuple[NDArray[np.int64], Floats]:
    """The nearest centre of each sample (n,) and the squared distance to it (n,), at least 0.

    `squares` are the samples' squared lengths, where the caller has them already.
    """
    labels, distances = np.empty(len(samples), np.int64), np.empty(len(samples), np.float32)
    half = 0.5 * np.einsum("kd,kd->k", centres, centres)
    transposed = np.ascontiguousarray(centres.T)
    squares = np.einsum("nd,nd->n", samples, samples) if squares is None else squares
    product = np.empty((min(_CHUNK, len(samples)), len(centres)), np.float32)
    for start in range(0, len(samples), _CHUNK):
        part = samples[start : start + _CHUNK]
        scores = np.matmul(part, transposed, out=product[: len(part)])
        scores -= half
        best = scores.argmax(axis=1)
        labels[start : start + _CHUNK] = best
        distances[start : start + _CHUNK] = scores[np.arange(len(part)), best]
    return labels, np.maximum(squares - 2 * distances, 0)
