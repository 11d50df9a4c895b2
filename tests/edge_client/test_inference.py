"""An installed model whose files were damaged says so, and never passes a part because of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_client.inference import load_model
from protos.errors import StateError
from protos.tensors import read_tensors, write_tensors


@pytest.fixture
def site(judging_site: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judging_site, tmp_path / "site"))


def change(site: Path, name: str, array: np.ndarray) -> None:
    path = site / "models" / "cells" / "local.safetensors"
    write_tensors(path, {**read_tensors(path), name: array})


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("calibration", np.zeros((1, 9), np.float32)),
        ("calibration", np.array([np.nan], np.float32)),
        ("generator.weight", np.zeros((3, 3), np.float32)),
    ],
)
def test_damaged_parts_are_told_when_the_model_is_loaded(site: Path, name: str, array: np.ndarray) -> None:
    change(site, name, array)
    with pytest.raises(StateError, match="cannot be used"):
        load_model(site)


def test_a_score_that_is_no_number_is_told_and_passes_no_part(site: Path, cells: Path) -> None:
    weight = read_tensors(site / "models" / "cells" / "local.safetensors")["generator.weight"]
    change(site, "generator.weight", np.full_like(weight, 3e38))
    image = next((cells / "test" / "good").iterdir())
    with pytest.raises(StateError, match="its scores are not finite"):
        load_model(site).judge(image)
