"""Alarms on real images whose lighting has changed, and none without a change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from edge_client.images import read_image
from edge_client.prove.drift import FALSE_ALARMS, Drift, DriftMonitor, counts, drift, limit, reference
from edgefed.demo.anomaly.plants import load_cells
from models.backbones.registry import weights_file
from models.features import PatchFeatures, extract
from models.feddymem.bank import first_bank
from models.scoring import image_scores, nearest_distance

FEATURES = PatchFeatures("efficientnet_lite0", ("stride8", "stride16"), weights_file("efficientnet_lite0", {}))


class Line:
    """Functional solar cells: 30 that were learnt, 60 held out, 200 on the line."""

    def __init__(self) -> None:
        paths = sorted(cell.path for cell in load_cells() if (cell.type, cell.probability) == ("mono", 0.0))
        order = np.random.default_rng(0).permutation(len(paths))[:290]
        images = [read_image(paths[number]) for number in order]
        learnt = extract(FEATURES, images[:30], 96)
        self._rows = first_bank(learnt.reshape(-1, learnt.shape[-1]).astype(np.float32), 128, 0).rows
        self.held_out, self.images = self.scores(images[30:90]), images[90:]
        self.usual = self.scores(self.images)

    def scores(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        features = extract(FEATURES, images, 96)
        patches = features.reshape(-1, features.shape[-1]).astype(np.float32)
        maps = nearest_distance(patches, self._rows, np.ones(len(self._rows), np.float32))
        return image_scores(maps.reshape(features.shape[:3]), "top1%", self_normalise=True)


@pytest.fixture(scope="module")
def line() -> Line:
    return Line()


@pytest.mark.parametrize("light", [0.4, 1.5])
def test_lighting_that_changed_is_an_alarm(line: Line, light: float) -> None:
    changed = [(image * light).clip(0, 255).astype(np.uint8) for image in line.images[:100]]
    (found,) = DriftMonitor(line.held_out).see(line.scores(changed))
    assert found.alarm
    assert str(found).startswith("scores have drifted: distance 0.")


def test_cells_as_they_were_are_no_alarm_in_any_order(line: Line) -> None:
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(500):
        monitor = DriftMonitor(line.held_out)
        alarms += sum(found.alarm for found in monitor.see(rng.permutation(line.usual)))
    assert alarms <= 1  # of 1,000 windows


def test_false_alarms_are_as_rare_as_stated_over_draws_of_both_samples() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(
        drift(known, counts(known, rng.normal(size=100))).alarm
        for known in (reference(rng.normal(size=60)) for _ in range(5000))
    )
    assert alarms <= 3 * FALSE_ALARMS * 5000


def test_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    rng = np.random.default_rng(0)
    for first, second in (
        (rng.normal(size=37), rng.normal(0.5, 1, size=100)),
        (rng.integers(0, 5, 40), np.arange(7.0)),
    ):
        known = reference(first.astype(float))
        assert drift(known, counts(known, second)).distance == pytest.approx(ks_2samp(first, second).statistic)


def test_counts_of_two_workers_add_up() -> None:
    rng = np.random.default_rng(0)
    known, first, second = reference(rng.normal(size=60)), rng.normal(size=40), rng.normal(size=60)
    together = counts(known, first) + counts(known, second)
    assert (together == counts(known, np.concatenate([first, second]))).all()


def test_a_few_defects_are_no_alarm() -> None:
    rng = np.random.default_rng(0)
    scores = np.where(rng.uniform(size=1000) < 0.05, 9.0, rng.normal(size=1000))
    assert not any(found.alarm for found in DriftMonitor(rng.normal(size=60)).see(scores))


def test_memory_is_bounded_when_many_images_were_held_out() -> None:
    known = reference(np.random.default_rng(0).normal(size=100_000))
    assert counts(known, np.zeros(3)).nbytes < 5000


def test_windows_are_told_when_they_are_full() -> None:
    monitor = DriftMonitor(np.arange(20.0), window=10)
    assert list(monitor.see(np.arange(9.0))) == []
    found = list(monitor.see(np.arange(25.0)))
    assert [one.images for one in found] == [10, 10, 10]


def test_no_alarm_is_possible_with_one_held_out_image() -> None:
    assert limit(1, 100) > 1
    assert not Drift(100, 1.0, limit(1, 100), 1.0).alarm


@pytest.mark.parametrize("scores", [np.empty(0), np.array([np.nan, 1.0])])
def test_scores_without_a_distribution_are_refused(scores: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="held-out normals"):
        reference(scores)
