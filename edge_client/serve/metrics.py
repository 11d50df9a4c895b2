"""What Prometheus reads, and the latest latencies that the budget is held against."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from edge_client.prove.drift import DriftMonitor
from edge_client.serve.verdict import Serving, Verdict

RECENT_S = 10.0
_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

log = logging.getLogger(__name__)


class Metrics:
    """Counts of one service, in a registry of its own.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter("edgefed_requests", "Requests answered", ["entrance", "outcome"], registry=registry)
        self.verdicts = Counter("edgefed_verdicts", "Images judged", ["verdict"], registry=registry)
        self.failures = Counter("edgefed_failures", "Images the model failed on", registry=registry)
        self.turned_away = Counter("edgefed_turned_away", "Images that found no room", registry=registry)
        self.waiting = Gauge("edgefed_waiting", "Images that wait or are judged", registry=registry)
        self.latency = Histogram(
            "edgefed_latency_seconds", "From arrival to score", buckets=_BUCKETS_S, registry=registry
        )
        self.swaps = Counter("edgefed_model_swaps", "Models put to work", ["outcome"], registry=registry)
        self.over_budget = Gauge("edgefed_over_latency_budget", "1 while training is asked to pause", registry=registry)
        self._model = Info("edgefed_model", "The model that judges", registry=registry)
        self._distance = Gauge("edgefed_drift_distance", "Of the last full window of scores", registry=registry)
        self._limit = Gauge("edgefed_drift_limit", "What chance passes once in 1000 windows", registry=registry)
        self._alarm = Gauge("edgefed_drift_alarm", "1 where the last full window is past it", registry=registry)
        self._drift: DriftMonitor | None = None
        self._clock, self._recent = clock, deque[tuple[float, float]](maxlen=10_000)

    def serve(self, serving: Serving) -> None:
        """Another model judges from now on: its drift is measured from nothing."""
        bundle, runner = serving.model.bundle, serving.model.runner
        names = {"job": serving.model.job, "digest": serving.digest, "backend": runner.backend}
        self._model.info({**names, "device": runner.device, "precision": runner.precision})
        scores = bundle.calibration.scores
        self._drift = DriftMonitor(scores) if scores.size else None
        for gauge in (self._distance, self._limit):
            gauge.set(math.nan)
        self._alarm.set(0)

    def judged(self, scores: NDArray[np.floating]) -> None:
        """Takes scores (b,) in; a drift is logged when a window of images shows it."""
        for drift in self._drift.see(scores) if self._drift else ():
            self._distance.set(drift.distance)
            self._limit.set(drift.limit)
            self._alarm.set(drift.alarm)
            if drift.alarm:
                log.warning("%s", drift)

    def answered(self, verdict: Verdict) -> None:
        """Takes one verdict in."""
        self.verdicts.labels(verdict.decision or "none").inc()
        self.latency.observe(verdict.milliseconds / 1000)
        self._recent.append((self._clock(), verdict.milliseconds))

    def recent_p99(self) -> float | None:
        """Milliseconds within which 99 % of the images of the last `RECENT_S` seconds were judged; None without any."""
        while self._recent and self._recent[0][0] < self._clock() - RECENT_S:
            self._recent.popleft()
        if not self._recent:
            return None
        return float(np.percentile([milliseconds for _, milliseconds in self._recent], 99))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
