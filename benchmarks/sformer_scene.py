"""What every run of SFormer on a labelled scene has in common: components, training windows, and test accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.hsi.accuracy import Accuracy, accuracy
from models.hsi.moments import band_sums
from models.hsi.neighbours import differences
from models.hsi.projection import fit, fit_against_noise
from models.hsi.scene import Scene
from models.hsi.splits import Split
from models.hsi.windows import Pixels, cut
from models.sformer.network import SFormer
from models.wsa.inference import logits

_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Components:
    """A scene as the network sees it.

    Attributes:
        cube: (h, w, c) float32.
        labels: (h, w), 0 is unlabelled.
        names: of the classes.
    """

    cube: NDArray[np.float32]
    labels: NDArray[np.int16]
    names: tuple[str, ...]

    def examples(self, pixels: Pixels, window: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The windows (n, c, s, s) of pixels (n, 2) and their classes from 0."""
        return cut(self.cube, pixels, window), self.labels[tuple(pixels.T)].astype(np.int64) - 1

    def test(self, network: SFormer, pixels: Pixels) -> Accuracy:
        """How well a network tells the classes of the pixels (n, 2)."""
        window = network.architecture.window
        parts = [pixels[start : start + _AT_ONCE] for start in range(0, len(pixels), _AT_ONCE)]
        predicted = [logits(network, cut(self.cube, part, window)).argmax(axis=1) + 1 for part in parts]
        return accuracy(self.labels[tuple(pixels.T)], np.concatenate(predicted), self.names)


def components(
    scene: Scene,
    split: Split,
    count: int,
    *,
    fitted_on: Literal["training pixels", "training pixels and their noise", "whole image"],
) -> Components:
    """Principal components: whitened, or in units of noise; or as the paper has them, of the whole image and not."""
    split.check((scene.labels.shape[0], scene.labels.shape[1]))
    if fitted_on == "whole image":
        projection = fit(band_sums(scene.cube.reshape(-1, scene.cube.shape[2])), count, "range")
    elif fitted_on == "training pixels":
        projection = fit(band_sums(scene.cube[tuple(split.train.T)]), count)
    else:
        noise = band_sums(differences(scene.cube, split.train, scene.valid))
        projection = fit_against_noise(band_sums(scene.cube[tuple(split.train.T)]), noise, count)
    return Components(projection.apply(scene.cube), scene.labels, scene.class_names)
