"""Heat maps for the report, drawn by `edgefed client infer` at the sites."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefed.demo.anomaly.plants import CELL_TYPES, Cell, Split
from edgefed.local_federation import LocalFederation

PER_KIND = 2


@dataclass(frozen=True)
class Picture:
    """One heat map.

    Attributes:
        caption: which cell, judged where and how.
        png: the image file, in base64.
    """

    caption: str
    png: str


def draw_pictures(federation: LocalFederation, split: Split, folder: Path) -> list[Picture]:
    """Lets the mixed plant judge the first test cells of each kind; nothing is picked by its result."""
    site = "plant-c"
    cells = [cell for kind in _kinds(split) for cell in kind]
    chosen = folder / "chosen"
    chosen.mkdir(parents=True)
    for index, cell in enumerate(cells):
        shutil.copyfile(cell.path, chosen / f"{index:02d}.png")
    lines = federation.client_lines(site, "infer", str(chosen), "--heatmaps", str(folder / "heatmaps"))
    pictures = []
    for cell, line in zip(cells, sorted(lines, key=lambda line: str(line["path"])), strict=True):
        truth = "defective" if cell.probability else "functional"
        caption = f"{cell.type}, {truth}: judged {line['verdict']} at {site}"
        png = Path(line["heatmap"]).read_bytes()
        pictures.append(Picture(caption, base64.b64encode(png).decode()))
    return pictures


def _kinds(split: Split) -> list[Sequence[Cell]]:
    return [
        [cell for cell in split.test if (cell.type, cell.probability) == (kind, probability)][:PER_KIND]
        for kind in CELL_TYPES
        for probability in (1.0, 0.0)
    ]
