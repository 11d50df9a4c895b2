"""Images at the size that a backbone takes, with and without torch the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resized(images: Sequence[NDArray[np.uint8]], size: int) -> NDArray[np.uint8]:
    """Images (h, w, 3) uint8 of any sizes as one array (b, size, size, 3) uint8; the aspect ratio is not kept.

    Pillow's bilinear filter, whose support grows where an image is made smaller, so that nothing falls between pixels.
    """
    return np.stack([_resize(image, size) for image in images])


def _resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
