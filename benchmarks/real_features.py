"""Patch features of real solar cells (monocrystalline, `elpv-dataset`), as FedDyMem sees them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_client.images import read_image
from edgefed.demo.anomaly.plants import deal, load_cells
from models.backbones.registry import weights_file
from models.features import PatchFeatures, extract

_SIZE = 256  # a grid of 32 x 32 patches
_TRAINING_IMAGES = 40
_STAGES = ("stride8", "stride16")


class RealFeatures(NamedTuple):
    """Features of width 152: EfficientNet-Lite0's stages at strides 8 and 16.

    Attributes:
        training: (40 * 1024, 152) float32, patches of 40 functional cells.
        test: (300, 32, 32, 152) float16, of 150 functional and 150 defective cells.
        defective: (300,) the truth.
    """

    training: NDArray[np.float32]
    test: NDArray[np.float16]
    defective: NDArray[np.bool_]


def solar_cell_features() -> RealFeatures:
    """The demo's split with seed 0, its first 40 mono cells of plant A for training."""
    split = deal(load_cells(), seed=0)
    extractor = PatchFeatures("efficientnet_lite0", _STAGES, weights_file("efficientnet_lite0", {}))
    training = [read_image(cell.path) for cell in split.train["plant-a"][:_TRAINING_IMAGES]]
    chosen = [cell for cell in split.test if cell.type == "mono"]
    test = [read_image(cell.path) for cell in chosen]
    patches = extract(extractor, training, _SIZE)
    return RealFeatures(
        patches.reshape(-1, patches.shape[-1]).astype(np.float32),
        extract(extractor, test, _SIZE),
        np.array([cell.probability == 1.0 for cell in chosen]),
    )
