"""Detectors on real images, as a site compiles them: solar cells, and magnetic tiles where that data set is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.compile.export import export
from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank, RawScores
from edge_client.datasets import NORMAL, LabelledImage, labelled_images, training_images
from edge_client.image_files import ImageFiles
from edge_client.prove.certificate import Precision
from edge_client.prove.exhibit import ask
from edge_client.prove.precision import Choice, Subject, choose
from edge_client.prove.site_images import site_exhibit
from edgefed.demo.anomaly.plants import deal, load_cells
from models.backbones.registry import weights_file
from models.features import PatchFeatures, extract
from models.feddymem.bank import first_bank
from models.feddymem.detector import Detector
from models.feddymem.settings import Settings
from models.memory import to_arrays

TRAINED = "trained model in torch"
_LEARNT, _HELD_OUT = 60, 64
_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@dataclass(frozen=True)
class Images:
    """Files of a data set.

    Attributes:
        normal: to learn from and to hold out.
        labelled: to test on.
    """

    normal: Sequence[Path]
    labelled: Sequence[LabelledImage]


def solar_cells() -> Images:
    """Monocrystalline cells of `elpv-dataset`."""
    split = deal(load_cells(), 0)
    test = [LabelledImage(cell.path, "", NORMAL if cell.probability == 0 else "defective", None) for cell in split.test
            if cell.type == "mono"]  # fmt: skip
    return Images([cell.path for cell in split.train["plant-a"]], test)


def magnetic_tiles() -> Images | None:
    """Magnetic tiles in `$EDGEFED_TEST_DATA/images/magnetic_tile`; None where they are not."""
    root = Path(os.environ.get("EDGEFED_TEST_DATA", _DATA)) / "images" / "magnetic_tile"
    return folder_of_images(root) if root.is_dir() else None


def folder_of_images(root: Path) -> Images:
    """A folder in MVTec layout."""
    return Images(training_images(root).images, labelled_images(root))


class Case:
    """A detector with a bank of 512 rows of 60 normal images, and its float32 graph.

    Args:
        images: of the data set; of fewer than 160 normal ones two in five are held out and fewer are learnt.
    """

    def __init__(self, images: Images) -> None:
        self.settings = Settings()
        chosen = self.settings.features
        weights = weights_file(chosen.backbone, {})
        held_out = min(_HELD_OUT, 2 * len(images.normal) // 5)
        learnt = min(_LEARNT, len(images.normal) - held_out)
        self.learnt, held = images.normal[:learnt], images.normal[learnt : learnt + held_out]
        features = extract(PatchFeatures(chosen.backbone, chosen.stages, weights), ImageFiles(self.learnt), 224)
        bank = to_arrays(first_bank(features.reshape(-1, features.shape[-1]).astype(np.float32), 512, 0))
        self.detector = Detector(self.settings, weights, bank, {})
        rows = bank["rows"].astype(np.float32)
        self.bank = Bank(rows, np.ones(len(rows), np.float32))
        self.graph = export(self.detector.graph(), chosen.image_size)
        self.exhibit = site_exhibit(self.learnt, held, images.labelled, chosen.image_size)

    def eager(self, pixels: NDArray[np.uint8]) -> RawScores:
        """What the trained detector says of pixels (b, s, s, 3)."""
        return RawScores(*self.detector.raw(list(pixels)))

    def proven(self, precision: Precision) -> Choice:
        """The graph at a precision, if it passes the gates, with its certificates."""
        subject = Subject(self.graph, self.bank, self.exhibit, ask(self.eager, self.exhibit), TRAINED, 0.05)
        return choose(
            subject, precision, lambda graph, found: OnnxRuntimeRunner(graph, self.bank, precision=found),
            lambda *progress: None,
        )  # fmt: skip
