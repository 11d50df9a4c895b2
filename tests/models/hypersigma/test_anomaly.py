"""Anomaly detection without labels: what teaches, tiles, and a real scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from models.hypersigma.anomaly import (
    Recipe,
    coarse_scores,
    global_rx,
    score,
    standardised,
    taught,
    tiling,
    train,
)
from models.hypersigma.detection import AnomalyDetector
from models.hypersigma.initialise import fresh
from models.hypersigma.networks import plan


def detector(bands: int, side: int, seed: int = 0) -> AnomalyDetector:
    network = fresh(plan("anomaly", "small", bands=bands, image=side), seed=seed)
    assert isinstance(network, AnomalyDetector)
    return network


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A smooth ground of correlated bands, 16 x 16 pixels, and four pixels of a material of its own."""
    side = 16
    rng = np.random.default_rng(0)
    ground = np.linspace(0, 1, side)[:, None, None] * rng.normal(size=6) + rng.normal(size=6)
    cube = ground + 0.05 * rng.normal(size=(side, side, 6))
    mask = np.zeros((side, side), bool)
    mask[[3, 3, 9, 13], [4, 5, 9, 13]] = True
    cube[mask] += 3 * rng.normal(size=6)
    return cube, mask


def test_rx_is_the_distance_by_the_inverse_covariance() -> None:
    cube = standardised(scene()[0])
    spectra = cube.reshape(-1, 6).astype(np.float64)
    centred = spectra - spectra.mean(0)
    inverse = np.linalg.inv(np.cov(centred.T))
    expected = [pixel @ inverse @ pixel for pixel in centred]
    np.testing.assert_allclose(global_rx(cube).ravel(), expected, rtol=1e-3)


def test_a_constant_band_is_standardised_to_nothing() -> None:
    cube = np.zeros((4, 4, 2), np.uint16)
    cube[..., 1] = np.arange(16).reshape(4, 4)
    found = standardised(cube)
    assert not found[..., 0].any()
    assert found[..., 1].std() == pytest.approx(1)


def test_only_the_surest_pixels_are_taught() -> None:
    labels = taught(np.arange(1000.0).reshape(20, 50), Recipe(background=0.3, anomalies=0.002))
    assert [(labels == value).sum() for value in (0, 1, -1)] == [300, 2, 698]
    assert labels.ravel()[[0, 299, 300, 997, 998, 999]].tolist() == [0, 0, -1, -1, 1, 1]


@pytest.mark.parametrize(("shape", "tiles"), [((32, 32), 1), ((100, 100), 36), ((33, 50), 6)])
def test_tiles_cover_a_scene_and_stay_in_it(shape: tuple[int, int], tiles: int) -> None:
    seen = np.zeros(shape)
    found = list(tiling(shape, 32, 16))
    for tile in found:
        assert seen[tile].shape == (32, 32)
        seen[tile] += 1
    assert len(found) == tiles
    assert seen.all()


def test_a_scene_smaller_than_a_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="20 x 40 pixels has no tiles of 32"):
        list(tiling((20, 40), 32, 16))


def test_scores_of_overlapping_tiles_are_their_mean() -> None:
    cube, network = standardised(scene()[0])[:12, :12], detector(6, 8).eval()
    expected, count = np.zeros((12, 12)), np.zeros((12, 12))
    for row in (0, 4):
        for column in (0, 4):
            part = torch.from_numpy(cube[row : row + 8, column : column + 8].transpose(2, 0, 1).copy())[None]
            with torch.no_grad():
                logits = network(part)[0].numpy()
            expected[row : row + 8, column : column + 8] += logits[1] - logits[0]
            count[row : row + 8, column : column + 8] += 1
    np.testing.assert_allclose(score(network, cube, 4), expected / count, atol=1e-6)


def test_a_detector_learns_to_find_what_does_not_belong() -> None:
    cube, mask = scene()
    values, recipe = standardised(cube), Recipe(anomalies=0.016, epochs=10, learning_rate=1e-3, overlap=4)
    labels = taught(coarse_scores(values, 3), recipe)
    network = detector(6, 8)
    steps: list[int] = []
    assert (score(network, values, 4)[~mask] > 0).mean() > 0.5  # it knows nothing yet of what is common
    loss = train(network, values, labels, recipe, 0, lambda stage, step, of: steps.append(step))
    assert steps == list(range(1, 11))
    assert loss < 0.3
    found = score(network, values, 4)
    assert roc_auc_score(mask.ravel(), found.ravel()) > 0.99
    assert (found[~mask] > 0).mean() < 0.01
