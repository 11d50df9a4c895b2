from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from models.method import Update
from protos.tensors import TensorFile, write_tensors

Stored = Callable[[Sequence[Mapping[str, np.ndarray]]], list[Update]]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Updates of weight 1 that lie in files, as the coordinator has them."""

    def make(models: Sequence[Mapping[str, np.ndarray]]) -> list[Update]:
        updates = []
        for index, arrays in enumerate(models):
            path = tmp_path / f"site-{index:02}"
            write_tensors(path, arrays)
            updates.append(Update(path.name, 1.0, TensorFile(path)))
        return updates

    return make
