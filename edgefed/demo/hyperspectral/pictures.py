"""The scene and its maps as pictures for the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_client.cubes.colours import colours
from models.hsi.scene import Scene

_SHOWN_NM = (860.0, 650.0, 550.0)
"""Near infrared, red and green as red, green and blue: living plants are red."""


def false_colour(scene: Scene) -> str:
    """A PNG in base64; each colour from the 2nd to the 98th percentile of its band."""
    assert scene.wavelengths is not None  # the demo's scene has them
    bands = [int(np.abs(scene.wavelengths - wanted).argmin()) for wanted in _SHOWN_NM]
    shown = scene.cube[:, :, bands].astype(np.float32)
    low, high = np.percentile(shown, (2, 98), axis=(0, 1))
    return _png(np.clip(255 * (shown - low) / (high - low), 0, 255).astype(np.uint8))


def class_picture(classes: NDArray[np.integer], count: int) -> str:
    """A PNG in base64 of the class (h, w) of every pixel, 0 black, in the colours of the maps that sites write."""
    return _png(colours(count)[classes])


def css_colours(count: int) -> list[str]:
    """The classes' colours as a style sheet has them."""
    return [f"rgb({red} {green} {blue})" for red, green, blue in colours(count)[1:].tolist()]


def _png(pixels: NDArray[np.uint8]) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
