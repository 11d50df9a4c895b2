"""A finished model of WSA at work: windows to classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays, SiteData
from models.wsa.first_round import published_projection
from models.wsa.inference import logits
from models.wsa.local import first_network, load
from models.wsa.networks import NETWORKS
from models.wsa.published import weights_of
from models.wsa.settings import Settings


class Classifier:
    """The network and the projection of a global model.

    Args:
        settings: of the job.
        published: the global model.
        weights: the site's weights files by name, for networks that ask for one.

    Raises:
        ValueError: the model is of another network, or none.
        Unusable: the network needs a weights file that is not there.
    """

    def __init__(self, settings: Settings, published: Arrays, weights: Mapping[str, Path]) -> None:
        if weights_of(published) is None:
            raise ValueError("the model holds no network: its job ended before a site trained one")
        self.window = NETWORKS[settings.network].window
        self.projection = published_projection(published)
        bands = self.projection.matrix.shape[1]
        # Of a site only the weights files matter here.
        self.network = first_network(settings, bands, SiteData((), "", weights, Path(), ""))
        try:
            load(self.network, weights_of(published))
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"the model's tensors are not those of {settings.network}: {error}") from error
        self.network.eval()

    def logits(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits (n, k) of windows (n, c, s, s) of components, n at least 1."""
        return logits(self.network, windows)

    def classes(self, windows: NDArray[np.float32]) -> NDArray[np.int16]:
        """The classes (n,), from 1, of windows (n, c, s, s), n at least 1."""
        return np.asarray(self.logits(windows).argmax(axis=1) + 1, np.int16)
