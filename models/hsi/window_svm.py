"""The baseline that a network has to beat: an RBF support vector machine on the mean spectrum of each window.

It trains in a second. On random splits it scores as high as published networks do, which says more about such splits
than about the networks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from models.hsi.windows import Pixels, window_means

_PENALTY = 10.0


class WindowSvm:
    """Trained on the windows' means of the components (h, w, c) of a scene."""

    def __init__(self, window: int) -> None:
        self._window = window
        # Means as they are: to give each component the same deviation would bring up the noise.
        self._model = SVC(C=_PENALTY, gamma="scale")

    def train(self, components: NDArray[np.float32], pixels: Pixels, labels: NDArray[np.integer]) -> WindowSvm:
        """Learns the labels (h, w) at the pixels (n, 2). Raises `ValueError` as `fit`."""
        return self.fit(window_means(components, pixels, self._window), labels[tuple(pixels.T)])

    def predict(self, components: NDArray[np.float32], pixels: Pixels) -> NDArray[np.int16]:
        """The classes (n,) of the pixels (n, 2)."""
        return self.classes(window_means(components, pixels, self._window))

    def fit(self, means: NDArray[np.float32], truth: NDArray[np.integer]) -> WindowSvm:
        """Learns from windows' means (n, c) and their classes (n,). Raises `ValueError` where those are all one."""
        if len(np.unique(truth)) < 2:
            raise ValueError("the training pixels are all of one class, so there is nothing to tell apart")
        self._model.fit(means, truth)
        return self

    def classes(self, means: NDArray[np.float32]) -> NDArray[np.int16]:
        """The classes (n,) of windows' means (n, c)."""
        return np.asarray(self._model.predict(means), np.int16)
