"""The threshold of an installed model, from held-out normal images; kept beside the model, never in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.state import write_durably
from models.threshold import Threshold, lowest_rate, threshold
from protos.errors import InvalidInput, StateError

FILE = "calibration.json"


def calibrate(model: Path, scores: NDArray[np.floating], rate: float) -> Threshold | None:
    """The threshold for a false-reject rate, stored in `calibration.json` so that it can be read and replaced.

    Args:
        model: the installed model's folder.
        scores: (n,) of the site's held-out normal images.
        rate: share of normal images that may be rejected, in (0, 1).

    Returns:
        None where there is no held-out image: nothing can be promised then.
    """
    if not scores.size:
        return None
    cut = threshold(scores, rate)
    write_durably(model / FILE, json.dumps({"asked_rate": rate, **asdict(cut)}, indent=1).encode())
    return cut


def stored_threshold(model: Path) -> Threshold | None:
    """The threshold in `calibration.json`, or None where there is no such file.

    Raises:
        StateError: the file cannot be understood.
    """
    path = model / FILE
    if not path.exists():
        return None
    try:
        known = json.loads(path.read_text())
        return Threshold(float(known["value"]), float(known["rate"]), int(known["normals"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path} cannot be read; remove it to have it made again") from error


def describe(cut: Threshold | None, asked: float) -> str:
    """What the threshold promises, in words."""
    if cut is None:
        return "no normal image was held out, so there is no threshold and no verdict"
    if cut.rate > asked:
        lowest = f"{100 * lowest_rate(cut.normals):.1f} %"
        return (
            f"{cut.normals} held-out normal images can promise a false-reject rate of {lowest}, not {100 * asked:g} %"
        )
    return f"{cut.normals} held-out normal images promise a false-reject rate of {100 * cut.rate:g} %"


def check_rate(rate: float) -> float:
    """Returns a false-reject rate in (0, 1), or raises `InvalidInput`."""
    if not 0 < rate < 1:
        raise InvalidInput(f"a false-reject rate lies between 0 and 1 and is not {rate:g}")
    return rate
