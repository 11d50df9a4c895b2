"""From `weights.safetensors` of a bundle to what a cube's bands become before the graph."""

from __future__ import annotations

from edge_client.bundle.bank import load_tensors
from edge_client.bundle.files import WEIGHTS
from edge_client.bundle.manifest import Windows
from models.hsi.projection import Projection
from models.wsa.first_round import published_projection
from protos.errors import InvalidInput


def read_projection(weights: bytes, windows: Windows) -> Projection:
    """The projection of a job.

    Args:
        weights: `weights.safetensors`.
        windows: what manifest.json says of it.

    Raises:
        InvalidInput: the file holds no projection, or one of other bands or components.
    """
    try:
        projection = published_projection(load_tensors(weights, WEIGHTS))
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"{WEIGHTS} holds no projection of bands: {error}") from error
    if projection.matrix.shape != (windows.bands, windows.components):
        raise InvalidInput(
            f"{WEIGHTS} projects {projection.matrix.shape} and manifest.json says "
            f"({windows.bands}, {windows.components})"
        )
    return projection
