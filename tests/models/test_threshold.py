import numpy as np
import pytest

from models.threshold import lowest_rate, threshold


def test_the_cut_is_the_conformal_quantile_when_normals_are_enough():
    found = threshold(np.arange(1.0, 100.0), 0.1)  # 99 scores: k = ceil(100 * 0.9) = 90
    assert (found.value, found.rate, found.normals) == (90.0, 0.1, 99)


def test_ninety_nine_normals_promise_one_percent_and_no_less():
    assert threshold(np.arange(99.0), 0.01).rate == 0.01
    assert threshold(np.arange(98.0), 0.01).rate == pytest.approx(1 / 99)
    assert lowest_rate(99) == pytest.approx(0.01)


def test_the_highest_score_is_the_cut_when_normals_are_too_few():
    found = threshold(np.array([3.0, 1.0, 2.0]), 0.01)
    assert (found.value, found.rate) == (3.0, 0.25)


def test_new_normals_are_rejected_at_the_promised_rate_on_average():
    rng = np.random.default_rng(0)
    rejected = [float((rng.normal(size=200) > threshold(rng.normal(size=49), 0.1).value).mean()) for _ in range(400)]
    assert np.mean(rejected) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("scores", [np.empty(0), np.array([1.0, np.nan])])
def test_a_threshold_is_refused_without_finite_scores(scores):
    with pytest.raises(ValueError, match="held-out normal images"):
        threshold(scores, 0.1)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_a_threshold_is_refused_when_the_rate_is_no_rate(rate):
    with pytest.raises(ValueError, match="false-reject rate"):
        threshold(np.ones(3), rate)
