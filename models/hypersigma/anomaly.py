"""Anomalies in a scene without a label: a coarse detector teaches the network, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.hypersigma.detection import AnomalyDetector
from models.method import Report

_IGNORED = -1
_REGULARISATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a detector learns from a scene.

    Attributes:
        background: share of the pixels with the lowest coarse scores that are taught as background.
        anomalies: share with the highest that are taught as anomalies; the others are not taught.
        epochs: passes over the scene's tiles.
        learning_rate: of AdamW.
        weight_decay: likewise.
        overlap: pixels that neighbouring tiles share.
    """

    background: float = 0.3
    anomalies: float = 0.0015
    epochs: int = 10
    learning_rate: float = 6e-5
    weight_decay: float = 5e-4
    overlap: int = 16


def standardised(cube: NDArray[np.generic]) -> NDArray[np.float32]:
    """(h, w, C) to (h, w, C) float32 with mean 0 and deviation 1 in each band; a constant band becomes 0."""
    values = cube.astype(np.float64)
    deviation = values.std((0, 1))
    result: NDArray[np.float32] = ((values - values.mean((0, 1))) / np.where(deviation > 0, deviation, 1)).astype("f4")
    return result


def global_rx(cube: NDArray[np.float32]) -> NDArray[np.float64]:
    """The Reed-Xiaoli detector: squared Mahalanobis distance (h, w) of each spectrum to all of the scene (h, w, C)."""
    spectra = cube.reshape(-1, cube.shape[2]).astype(np.float64)
    spectra = spectra - spectra.mean(0)
    covariance = spectra.T @ spectra / (len(spectra) - 1)
    ridge = _REGULARISATION * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    distances: NDArray[np.float64] = (spectra * np.linalg.solve(covariance + ridge, spectra.T).T).sum(1)
    return distances.reshape(cube.shape[:2])


def coarse_scores(cube: NDArray[np.float32], components: int = 10) -> NDArray[np.float64]:
    """What teaches where there is no other detector: `global_rx` of the scene's first principal components.

    Over all bands the distance is ruled by directions that hold nothing but noise.
    """
    spectra = cube.reshape(-1, cube.shape[2]).astype(np.float64)
    spectra = spectra - spectra.mean(0)
    _, axes = np.linalg.eigh(spectra.T @ spectra)
    seen = spectra @ axes[:, -components:]
    return global_rx(seen.reshape(*cube.shape[:2], -1).astype(np.float32))


def taught(scores: NDArray[np.floating], recipe: Recipe) -> NDArray[np.int64]:
    """Coarse scores (h, w) to 0 background, 1 anomaly, -1 not taught."""
    order = scores.ravel().argsort(kind="stable")
    labels = np.full(scores.size, _IGNORED)
    labels[order[: int(recipe.background * scores.size)]] = 0
    labels[order[scores.size - max(1, round(recipe.anomalies * scores.size)) :]] = 1
    return labels.reshape(scores.shape)


def train(
    detector: AnomalyDetector,
    cube: NDArray[np.float32],
    labels: NDArray[np.int64],
    recipe: Recipe,
    seed: int,
    report: Report,
) -> float:
    """Trains in place, one tile a step; the mean loss of the last epoch.

    Args:
        detector: cubes (b, C, s, s) to logits (b, 2, s, s).
        cube: (h, w, C), standardised.
        labels: (h, w), see `taught`.
        recipe: of the training.
        seed: of the order of the tiles and what is random in the detector.
        report: told after each epoch.

    Raises:
        ValueError: the scene is smaller than a tile.
    """
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(detector.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    side = _side(detector)
    tiles = [tile for tile in tiling(labels.shape, side, recipe.overlap) if (labels[tile] != _IGNORED).any()]
    loss_of = nn.CrossEntropyLoss(ignore_index=_IGNORED)
    detector.train()
    losses: list[float] = []
    for epoch in range(recipe.epochs):
        losses = []
        for index in torch.randperm(len(tiles)).tolist():
            loss = loss_of(detector(_batch(cube[tiles[index]])), torch.from_numpy(labels[tiles[index]])[None])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())
        report("training", epoch + 1, recipe.epochs)
    return float(np.mean(losses))


def score(detector: AnomalyDetector, cube: NDArray[np.float32], overlap: int) -> NDArray[np.float32]:
    """How anomalous each pixel (h, w) of a scene (h, w, C) is; where tiles overlap, their mean counts."""
    detector.eval()
    total, count = np.zeros(cube.shape[:2], np.float32), np.zeros(cube.shape[:2], np.float32)
    with torch.inference_mode():
        for tile in tiling(total.shape, _side(detector), overlap):
            logits = detector(_batch(cube[tile]))[0].numpy()
            total[tile] += logits[1] - logits[0]
            count[tile] += 1
    return total / count


def tiling(shape: tuple[int, ...], side: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """Tiles that cover a scene of `shape`; the last of a row or column is moved back into the scene.

    Raises:
        ValueError: the scene is smaller than a tile, or the overlap is no less than one.
    """
    if min(shape[:2]) < side or not 0 <= overlap < side:
        raise ValueError(f"a scene of {shape[0]} x {shape[1]} pixels has no tiles of {side} that overlap by {overlap}")
    starts = [[*range(0, length - side, side - overlap), length - side] for length in shape[:2]]
    for row in starts[0]:
        for column in starts[1]:
            yield slice(row, row + side), slice(column, column + side)


def _side(detector: AnomalyDetector) -> int:
    return detector.spat_encoder.window.height


def _batch(part: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))[None]
