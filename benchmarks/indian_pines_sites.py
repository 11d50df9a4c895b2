"""The Indian Pines scene as four sites, a quadrant each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.indian_pines import load_scene
from models.hsi.scene import Scene
from models.hsi.splits import disjoint_split, random_split
from models.hsi.windows import Pixels
from models.method import SiteData


def quadrants(
    kind: Literal["disjoint", "random"], window: int, seed: int, scratch: Path
) -> tuple[dict[str, SiteData], Scene]:
    """Site -> its quadrant with the split's training pixels labelled, and the whole scene with the test pixels."""
    whole = load_scene()
    labels = whole.labels
    split = (disjoint_split if kind == "disjoint" else random_split)(labels, window, seed=seed)
    train, (height, width) = _only(labels, split.train), labels.shape
    halves = [(slice(0, height // 2), slice(height // 2, None)), (slice(0, width // 2), slice(width // 2, None))]
    corners = [(rows, columns) for rows in halves[0] for columns in halves[1]]
    sites = {
        f"site-{index}": SiteData([], str(index), {}, scratch, f"site-{index}", (_part(whole, part, train),))
        for index, part in enumerate(corners)
    }
    return sites, replace(whole, labels=_only(labels, split.test))


def _only(labels: NDArray[np.integer], pixels: Pixels) -> NDArray[np.int16]:
    kept = np.zeros(labels.shape, np.int16)
    kept[tuple(pixels.T)] = labels[tuple(pixels.T)]
    return kept


def _part(whole: Scene, part: tuple[slice, slice], labels: NDArray[np.int16]) -> Scene:
    return replace(whole, cube=whole.cube[part], labels=labels[part], valid=whole.valid[part])
