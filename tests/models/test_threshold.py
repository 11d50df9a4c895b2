import numpy as np
import pytest

from models.threshold import lowest_rate, normals_for, normals_for_half, rate_interval, threshold


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


@pytest.mark.parametrize(("normals", "rate"), [(19, 0.05), (49, 0.1), (200, 0.02)])
def test_true_rate_lies_in_the_interval_as_often_as_stated(normals, rate):
    rng = np.random.default_rng(1)
    low, high = rate_interval(normals, rate)
    # Of uniform scores the share above a cut is 1 - cut.
    true = np.array([1 - threshold(rng.uniform(size=normals), rate).value for _ in range(2000)])
    assert ((true >= low) & (true <= high)).mean() == pytest.approx(0.95, abs=0.015)
    assert (true < low).mean() == pytest.approx(0.025, abs=0.012)


def test_interval_is_that_of_the_highest_score_when_normals_are_few():
    low, high = rate_interval(9, 0.01)  # the share above the highest of n uniform scores: (1 - share)^n
    assert (1 - low) ** 9 == pytest.approx(0.975)
    assert (1 - high) ** 9 == pytest.approx(0.025)


def test_interval_narrows_with_more_normals():
    widths = [high - low for low, high in (rate_interval(n, 0.05) for n in (20, 40, 80, 160))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("rate", "normals"), [(0.01, 99), (0.05, 19), (0.5, 1), (0.03, 33)])
def test_so_many_normals_promise_a_rate_and_one_less_does_not(rate, normals):
    assert normals_for(rate) == normals
    assert lowest_rate(normals) <= rate + 1e-12 < lowest_rate(normals - 1)


@pytest.mark.parametrize(("normals", "rate"), [(19, 0.05), (38, 0.05), (99, 0.01), (6, 0.01)])
def test_so_many_normals_halve_the_interval(normals, rate):
    low, high = rate_interval(normals, rate)
    found = rate_interval(normals_for_half(normals, rate), rate)
    assert found[1] - found[0] <= (high - low) / 2
