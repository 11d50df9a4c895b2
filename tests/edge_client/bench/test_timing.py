"""How often work is repeated, and what the figures are."""

from __future__ import annotations

import numpy as np
import pytest

from edge_client.bench.timing import LEAST_RUNS, LEAST_S, WARM_UP_RUNS, WARM_UP_S, repeat, timing


class Clock:
    """Time passes by what the work takes."""

    def __init__(self, takes: float) -> None:
        self.now, self.takes, self.runs = 0.0, takes, 0

    def __call__(self) -> float:
        return self.now

    def work(self, run: int) -> list[float]:
        self.now += self.takes
        self.runs += 1
        return [self.takes / 4, 3 * self.takes / 4]


def test_slow_work_is_run_a_hundred_times() -> None:
    clock = Clock(0.1)
    assert repeat(clock.work, clock).shape == (LEAST_RUNS, 2)
    assert clock.runs == LEAST_RUNS + WARM_UP_RUNS


def test_quick_work_is_run_for_three_seconds() -> None:
    clock = Clock(0.001)
    found = repeat(clock.work, clock)
    assert found.sum() == pytest.approx(LEAST_S, abs=0.002)
    assert clock.now == pytest.approx(LEAST_S + WARM_UP_S, abs=0.004)


def test_figures_are_percentiles_in_milliseconds() -> None:
    found = timing(np.arange(1, 102) / 1000)
    assert (found.p50, found.p90, found.p95, found.p99) == pytest.approx((51, 91, 96, 100))
    assert (found.mean, found.std) == pytest.approx((51, np.arange(101).std()))
