"""The threshold of an installed model: derived from the scores of held-out normal images and a false-reject rate.

The model holds the scores. The rate is the job's, until somebody at the site keeps another one in `calibration.json`
beside the model; the threshold is always derived, so that it cannot contradict either of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.state import write_durably
from models.threshold import CONFIDENCE, Threshold, lowest_rate, normals_for, normals_for_half, rate_interval, threshold
from protos.errors import InvalidInput, StateError

FILE = "calibration.json"
_KEY = "false_reject_rate"


@dataclass(frozen=True)
class Calibration:
    """What a model's scores mean at this site.

    Attributes:
        asked_rate: the false-reject rate that was asked for; `threshold.rate` is the one that holds.
        threshold: an image above it is a defect.
        calm: the median score of the held-out normal images.
    """

    asked_rate: float
    threshold: Threshold
    calm: float

    @property
    def interval(self) -> tuple[float, float]:
        """Between which false-reject rates the true one lies with 95 % confidence, given so few or many images."""
        return rate_interval(self.threshold.normals, self.asked_rate)

    @property
    def more(self) -> int:
        """Held-out normals worth having more: those that the asked rate lacks, or that halve the interval."""
        normals = self.threshold.normals
        lacking = normals_for(self.asked_rate) - normals
        return lacking if lacking > 0 else normals_for_half(normals, self.asked_rate) - normals

    def __str__(self) -> str:
        normals = self.threshold.normals
        images = f"{normals} held-out normal image{'s' * (normals != 1)}"
        wider, narrower = _between(self.interval), _between(rate_interval(normals + self.more, self.asked_rate))
        sure = f"the true one lies between {wider} with {100 * CONFIDENCE:g} % confidence"
        if self.threshold.rate > self.asked_rate:
            lowest = 100 * lowest_rate(normals)
            promise = f"can promise a false-reject rate of {lowest:.1f} %, not {100 * self.asked_rate:g} %"
            return f"{images} {promise}; {sure}; {self.more} more would promise it, and narrow that to {narrower}"
        promise = f"promise a false-reject rate of {100 * self.threshold.rate:g} %"
        return f"{images} {promise}; {sure}; {self.more} more would narrow that to {narrower}"


def _between(rates: tuple[float, float]) -> str:
    low, high = (f"{100 * rate:.2g}" for rate in rates)
    return f"{low} and {high} %"


def calibrate(scores: NDArray[np.floating], rate: float) -> Calibration | None:
    """The calibration for scores (n,) of held-out normals; None where there are none, as nothing can be promised."""
    if not scores.size:
        return None
    return Calibration(rate, threshold(scores, rate), float(np.median(scores)))


def kept_rate(model: Path) -> float | None:
    """The false-reject rate that the site keeps for a model's folder; None where it keeps none of its own.

    Raises:
        StateError: the file cannot be understood.
    """
    path = model / FILE
    try:
        return check_rate(float(json.loads(path.read_text())[_KEY]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, InvalidInput) as error:
        raise StateError(f"{path} holds no false-reject rate ({error}); remove it to take the job's") from error


def keep_rate(model: Path, rate: float) -> None:
    """Keeps a false-reject rate for a model's folder, until the model is replaced by a new one of its job.

    Raises:
        InvalidInput: it is not in (0, 1).
        StateError: the folder cannot be written.
    """
    write_durably(model / FILE, json.dumps({_KEY: check_rate(rate)}).encode())


def check_rate(rate: float) -> float:
    """Returns a false-reject rate in (0, 1), or raises `InvalidInput`."""
    if not 0 < rate < 1:
        raise InvalidInput(f"a false-reject rate lies between 0 and 1 and is not {rate:g}")
    return rate
