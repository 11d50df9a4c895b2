"""Repeats work until its times mean something, and sums them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

WARM_UP_S, WARM_UP_RUNS = 0.2, 10
LEAST_S, LEAST_RUNS = 3.0, 100


class Timing(BaseModel):
    """Milliseconds of one stage over all runs.

    Attributes:
        mean: of all runs.
        std: their standard deviation.
        p50: half of the runs took at most this; p90, p95 and p99 so for 90, 95 and 99 percent.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    mean: float
    std: float
    p50: float
    p90: float
    p95: float
    p99: float


def timing(seconds: NDArray[np.float64]) -> Timing:
    """The figures of runs (n,), at least one."""
    milliseconds = 1000 * seconds
    p50, p90, p95, p99 = (float(found) for found in np.percentile(milliseconds, (50, 90, 95, 99)))
    return Timing(mean=float(milliseconds.mean()), std=float(milliseconds.std()), p50=p50, p90=p90, p95=p95, p99=p99)


def repeat(
    work: Callable[[int], Sequence[float]], clock: Callable[[], float] = time.perf_counter
) -> NDArray[np.float64]:
    """Runs work at least 100 times and for at least 3 s, after a warm-up of at least 10 times and 0.2 s.

    Args:
        work: takes the number of the run, and gives the seconds of each of its stages.
        clock: seconds.

    Returns:
        (runs, stages) seconds, the warm-up left out.
    """
    _until(work, clock, WARM_UP_S, WARM_UP_RUNS)
    return np.array(_until(work, clock, LEAST_S, LEAST_RUNS))


def _until(
    work: Callable[[int], Sequence[float]], clock: Callable[[], float], least_s: float, least_runs: int
) -> list[Sequence[float]]:
    started, found = clock(), list[Sequence[float]]()
    while len(found) < least_runs or clock() - started < least_s:
        found.append(work(len(found)))
    return found
