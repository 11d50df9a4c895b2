"""The demo's three plants: how the solar cells of `elpv-dataset` are dealt out, and their folders on disk.

The images are electroluminescence photographs of 300 x 300 pixels, each with a defect probability (0, 1/3, 2/3, 1)
given by experts and a type (mono- or polycrystalline). Only cells that are surely functional (0) or surely defective
(1) take part. Buerhop-Lux et al. 2018, CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from protos.errors import InvalidInput

CELL_TYPES = ("mono", "poly")
TRAIN: Mapping[str, Mapping[str, int]] = {
    "plant-a": {"mono": 270},
    "plant-b": {"poly": 270},
    "plant-c": {"mono": 30, "poly": 30},
}
TEST_PER_TYPE_AND_CLASS = 150


@dataclass(frozen=True)
class Cell:
    """One image of the package.

    Attributes:
        path: of the image file.
        probability: of a defect, in [0, 1].
        type: "mono" or "poly".
    """

    path: Path
    probability: float
    type: str


@dataclass(frozen=True)
class Split:
    """Who sees which cell; every cell is in at most one place.

    Attributes:
        train: site -> functional cells.
        test: the common held-out set, functional and defective cells of both types.
        seed: that the cells were drawn with.
    """

    train: Mapping[str, Sequence[Cell]]
    test: Sequence[Cell]
    seed: int

    def digest(self) -> str:
        """SHA-256 over who sees which file, so that two reports can be seen to share a split."""
        lines = [f"{site} {cell.path.name}" for site, cells in sorted(self.train.items()) for cell in cells]
        lines += [f"test {cell.path.name}" for cell in self.test]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load_cells() -> list[Cell]:
    """All cells of the installed package, without reading an image. Raises `InvalidInput` where it is missing."""
    found = find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise InvalidInput("the demo needs the package elpv-dataset: pip install 'edgefed[demo]'")
    folder = Path(found.origin).parent / "data"
    with (folder / "labels.csv").open() as file:
        rows = [line.split() for line in file]
    return [Cell(folder / name, float(probability), kind) for name, probability, kind in rows]


def deal(cells: Sequence[Cell], seed: int) -> Split:
    """Draws the plants' training cells and the common test set, the same for the same seed."""
    draw = random.Random(seed)
    piles: dict[tuple[str, float], list[Cell]] = {}
    for kind in CELL_TYPES:
        for probability in (0.0, 1.0):
            pile = sorted((c for c in cells if (c.type, c.probability) == (kind, probability)), key=lambda c: c.path)
            draw.shuffle(pile)
            piles[kind, probability] = pile
    test = [piles[key].pop() for key in sorted(piles) for _ in range(TEST_PER_TYPE_AND_CLASS)]
    train = {
        site: [piles[kind, 0.0].pop() for kind, count in wanted.items() for _ in range(count)]
        for site, wanted in TRAIN.items()
    }
    split = Split(train, test, seed)
    _check_disjoint(split)
    return split


def _check_disjoint(split: Split) -> None:
    seen = [cell.path for cells in split.train.values() for cell in cells] + [cell.path for cell in split.test]
    if len(set(seen)) != len(seen):
        raise AssertionError("a cell is in two places of the split")


def write_folders(split: Split, folder: Path) -> tuple[dict[str, Path], Path]:
    """Writes the plants' data and the common test set in the MVTec layout.

    Returns:
        site -> its data folder, and the folder of the test set with one product folder for each cell type.
    """
    sites = {}
    for site, cells in split.train.items():
        sites[site] = folder / site
        for cell in cells:
            _place(cell, folder / site / "train" / "good")
    test = folder / "test-set"
    for cell in split.test:
        _place(cell, test / cell.type / "test" / ("good" if cell.probability == 0.0 else "defective"))
    return sites, test


def _place(cell: Cell, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(cell.path, folder / cell.path.name)
