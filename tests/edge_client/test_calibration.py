"""The rate that a site keeps, and what the threshold promises."""

from pathlib import Path

import numpy as np
import pytest

from edge_client.calibration import FILE, calibrate, keep_rate, kept_rate
from protos.errors import InvalidInput, StateError

SCORES = np.arange(1, 20, dtype=np.float32)  # 19 images: 1 in 20 is the lowest rate


def test_threshold_and_calm_come_from_the_held_out_images() -> None:
    found = calibrate(SCORES, 0.05)
    assert found is not None
    assert (found.threshold.value, found.calm) == (19, 10)
    assert str(found) == (
        "19 held-out normal images promise a false-reject rate of 5 %; the true one lies between 0.13 and 18 % "
        "with 95 % confidence; 80 more would narrow that to 1.7 and 10 %"
    )


def test_lowest_possible_rate_is_told_when_less_was_asked_for() -> None:
    told = str(calibrate(SCORES, 0.01))
    assert told.startswith("19 held-out normal images can promise a false-reject rate of 5.0 %, not 1 %; the true one")
    assert told.endswith("; 80 more would promise it, and narrow that to 0.026 and 3.7 %")
    assert str(calibrate(SCORES[:1], 0.01)).startswith("1 held-out normal image can promise a false-reject rate of 50")


def test_nothing_is_promised_when_no_image_was_held_out() -> None:
    assert calibrate(SCORES[:0], 0.01) is None


def test_rate_is_kept_beside_the_model(tmp_path: Path) -> None:
    assert kept_rate(tmp_path) is None
    keep_rate(tmp_path, 0.02)
    assert kept_rate(tmp_path) == 0.02


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan")])
def test_rate_is_refused_when_it_is_none(tmp_path: Path, rate: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        keep_rate(tmp_path, rate)
    assert kept_rate(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"false_reject_rate": "much"}',
        '{"false_reject_rate": 7}',
        "[" * 9999,
        f'{{"false_reject_rate": 1{"0" * 400}}}',
    ],
)
def test_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StateError, match=r"calibration\.json holds no false-reject rate .*; remove it"):
        kept_rate(tmp_path)
