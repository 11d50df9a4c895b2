"""k-means by plain matrix products: deterministic to the bit, which threaded accumulation is not.

Letters: n samples, d features, k centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 2048  # rows of one product: its (chunk, k) result stays in the cache while it is searched
_PASSES = 4  # of the samples, to draw candidates for the first centres
_MANY = 1024  # centres
_TOLERANCE = 1e-4  # a step that lowers the inertia by less than this fraction is the last

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clusters:
    """What k-means found.

    Attributes:
        centres: (k, d) float32, each the weighted mean of its samples.
        labels: (n,) int64, index of the centre that each sample was averaged into, -1 where it was trimmed.
        weights: (k,) float32, sum of the sample weights per centre, more than 0.
        inertia: weighted sum of the squared distances of the samples to the centres they were assigned to.
    """

    centres: Floats
    labels: NDArray[np.int64]
    weights: Floats
    inertia: float


def kmeans(
    samples: Floats,
    k: int,
    seed: int,
    *,
    n_init: int = 1,
    max_iter: int = 25,
    sample_weight: Floats | None = None,
    trim: float = 0.0,
) -> Clusters:
    """Groups samples around k centres; of `n_init` seedings the one with the lowest inertia.

    Args:
        samples: (n, d) float32, finite.
        k: number of centres, at least 1. With k >= n every sample is a centre of its own: nothing is averaged.
        seed: of the seeding; equal seeds and samples give equal bytes.
        n_init: seedings tried.
        max_iter: Lloyd steps at most per seeding.
        sample_weight: (n,) float32 above 0; all 1 if None.
        trim: in [0, 1), share of the samples, the farthest from any centre, that each step leaves out (Cuesta-Albertos,
            Gordaliza and Matrán, 1997); the seeding does not draw them either.

    Raises:
        ValueError: no samples, or k below 1.
    """
    n = len(samples)
    if n == 0 or k < 1:
        raise ValueError(f"k-means cannot make {k} centres of {n} samples")
    weight = np.ones(n, np.float32) if sample_weight is None else sample_weight.astype(np.float32)
    if k >= n:
        return Clusters(samples.copy(), np.arange(n), weight, 0.0)
    rng, trimmed = np.random.default_rng(seed), int(trim * n)
    starts = (seed_centres(samples, k, weight, rng, trimmed) for _ in range(n_init))
    runs = (lloyd(samples, start, weight, max_iter, trimmed) for start in starts)
    return min(runs, key=lambda clusters: clusters.inertia)


def lloyd(samples: Floats, centres: Floats, weight: Floats, max_iter: int, trimmed: int = 0) -> Clusters:
    """Lloyd's steps from given (k, d) centres, at least one; a centre that lost all samples takes the farthest one.

    In each step the `trimmed` samples that are farthest from any centre play no part.
    """
    # Imported where it is used: the coordinator's own process knows the methods and clusters nothing.
    from scipy.sparse import csr_matrix

    squares, k, inertia = np.einsum("nd,nd->n", samples, samples), len(centres), np.inf
    for _ in range(max(1, max_iter)):
        labels, distances = assign(samples, centres, squares)
        kept = np.arange(len(samples))
        if trimmed:
            kept = np.sort(np.argsort(distances, kind="stable")[: len(samples) - trimmed])
        empty = np.setdiff1d(np.arange(k), labels[kept])
        if len(empty):
            labels[kept[np.argsort(-distances[kept], kind="stable")[: len(empty)]]] = empty
        sums = csr_matrix((weight[kept], (labels[kept], kept)), shape=(k, len(samples)))
        totals = np.asarray(sums.sum(axis=1), np.float32).reshape(-1)
        # Taking the farthest samples may have emptied their old centres; those keep their place.
        centres = np.where(totals[:, None] > 0, (sums @ samples) / np.maximum(totals, 1e-12)[:, None], centres)
        before, inertia = inertia, float(np.dot(distances[kept].astype(np.float64), weight[kept]))
        if before - inertia <= _TOLERANCE * inertia and not len(empty):
            break
    met = totals > 0
    found = np.full(len(samples), -1)
    found[kept] = (np.cumsum(met) - 1)[labels[kept]]
    return Clusters(centres[met], found, totals[met], inertia)


def seed_centres(samples: Floats, k: int, weight: Floats, rng: np.random.Generator, trimmed: int = 0) -> Floats:
    """Starting centres (k, d): k-means|| draws candidates, k-means++ chooses among them.

    k-means++ reads all samples k times, which would take longer than all Lloyd's steps. Here four passes draw 4 k
    candidates, likelier the farther they lie; weighted by the samples they stand for, they are chosen from. More
    than `_MANY` centres are the drawn samples themselves: among so many the choice no longer shows. The `trimmed`
    farthest samples of a pass are not drawn.
    """
    wanted = k if k > _MANY else min(4 * k, len(samples))
    squares = np.einsum("nd,nd->n", samples, samples)
    added = chosen = rng.choice(len(samples), 1, p=weight / weight.sum(dtype=np.float64))
    owner, nearest = np.zeros(len(samples), np.int64), np.full(len(samples), np.inf, np.float32)
    while True:
        labels, distances = assign(samples, samples[added], squares)
        closer = distances < nearest
        owner[closer], nearest[closer] = labels[closer] + len(chosen) - len(added), distances[closer]
        nearest[chosen] = 0.0
        odds = nearest.astype(np.float64) * weight
        if trimmed:
            odds[np.argsort(nearest, kind="stable")[len(samples) - trimmed :]] = 0.0
        number = min(-(-wanted // _PASSES), wanted - len(chosen), int(np.count_nonzero(odds)))
        if number == 0:
            break
        added = rng.choice(len(samples), number, replace=False, p=odds / odds.sum())
        chosen = np.concatenate([chosen, added])
    if len(chosen) <= k:  # so many centres that they are not chosen from, or fewer than k distinct samples
        return np.asarray(samples[chosen])
    stands_for = np.bincount(owner, weight, len(chosen)).astype(np.float64)
    return _choose(np.asarray(samples[chosen]), k, stands_for, rng)


def _choose(candidates: Floats, k: int, weight: NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """k-means++: one by one the best of a few draws, likelier the farther from those chosen; k at most."""
    squares, tries = np.einsum("nd,nd->n", candidates, candidates), 2 + int(np.log(k))
    chosen: list[int] = []
    nearest = np.ones(len(candidates), np.float32)  # the first is drawn by weight alone
    while len(chosen) < k:
        odds = np.cumsum(nearest * weight)
        if odds[-1] == 0:
            break
        drawn = np.searchsorted(odds, rng.random(tries if chosen else 1) * odds[-1], side="right")
        drawn = np.minimum(drawn, len(odds) - 1)
        distances = squares + squares[drawn, None] - 2 * (candidates[drawn] @ candidates.T)
        distances = np.maximum(np.minimum(distances, nearest) if chosen else distances, 0)
        best = int(np.argmin(distances @ weight))
        chosen.append(int(drawn[best]))
        nearest = distances[best]
        nearest[chosen] = 0.0  # also where rounding leaves a trace
    return np.asarray(candidates[chosen])


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
