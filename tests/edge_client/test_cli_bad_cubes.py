"""Bad data of a site's own at the command line: one clear line that names the file, exit code 2, no model."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]
NAMES = ("corn", "soy", "wood")
LABELS = (np.arange(30)[None, :] // 5 % 4 * np.ones((24, 1))).astype(np.int16)
JOB = """
name = "crops"
method = "wsa"
[wsa]
network = "sformer-small"
classes = ["wood", "corn", "soy"]
bands.components = 4
"""


def cube() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.integers(1000, 60_000, (4, 8))[LABELS] + rng.integers(0, 900, (24, 30, 8))).astype(np.float32)


def with_band(value: float) -> np.ndarray:
    found = cube()
    found[:, :, 2] = value
    return found


CASES = {
    "transposed": (cube().transpose(2, 0, 1), LABELS, "the cube is transposed, its bands come first"),
    "label shape": (cube(), LABELS[1:], "the labels have the shape (23, 30) and the cube (24, 30, 8)"),
    "labels outside": (cube(), LABELS * 2, "the labels hold 4, 6, and the 3 declared classes"),
    "negative labels": (cube(), -LABELS, "the labels hold -3, -2, -1"),
    "no label": (cube(), LABELS * 0, "labels no pixel of"),
    "NaN band": (with_band(np.nan), LABELS, "the bands 3 of"),
    "zero band": (with_band(0), LABELS, "are 0 at every pixel; leave them out with bad_bands = [3]"),
    "no data": (cube() * 0, LABELS, "holds no valid pixel"),
    "small": (cube()[:9], LABELS[:9], "a scene of 9 x 30 pixels is smaller than a window of 10 x 10"),
    "plane": (cube()[:, :, 0], LABELS, "holds no array of the shape (rows, columns, bands); there is cube (24, 30)"),
    "one band": (cube()[:, :, :1], LABELS, "1 bands span 1 principal components, not 4"),
    "one pixel": (cube(), np.where(np.arange(720).reshape(24, 30) == 7, 1, 0), "fewer than two labelled pixels"),
}


@pytest.mark.parametrize("case", CASES)
def test_training_on_bad_data_is_refused(tmp_path: Path, edgefed: Edgefed, case: str) -> None:
    values, labels, message = CASES[case]
    np.savez(tmp_path / "scene.npz", cube=values)
    np.savez(tmp_path / "labels.npz", gt=labels, class_names=NAMES)
    (tmp_path / "site.toml").write_text(
        '[data]\ncube = "scene.npz"\nlabels = "labels.npz"\n[egress]\nallow = []\nmax_bytes = 1\n'
    )
    (tmp_path / "job.toml").write_text(JOB)
    done = edgefed("train", tmp_path / "job.toml", "--state", tmp_path, "--out", tmp_path / "model", "--split", "none")
    assert done.returncode == 2 and message in " ".join(done.stderr.split()), done.stderr
    assert "its log says more" not in done.stderr and not done.stdout and not (tmp_path / "model").exists()
