"""Draws where an image is anomalous, so that a person at the line sees it at a glance.

The scale is fixed by held-out normal images, never by the image itself: a normal image stays calm, and the same
colour means the same score on every picture of a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

_LONGEST_PX = (512, 1024)  # the picture is enlarged or reduced until its longer side lies in here
_NARROWEST_PX = 400  # the banner's text fits
_BANNER_PX, _FRAME_PX, _TEXT_PX = 44, 6, 22
_GREEN, _RED = (24, 121, 78), (190, 30, 45)
_STRONGEST = 0.72  # of the colour over the picture, so that the part stays visible below it

# The colour map "inferno" at equal steps, perceptually even and readable without colour vision; its darkest and its
# palest end are left out, because they vanish on a black or a white part.
_INFERNO = np.array(
    [[31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50]],
    np.float32,
)


@dataclass(frozen=True)
class Scale:
    """What scores of one model mean.

    Attributes:
        calm: a usual score of a normal image; nothing at or below it is coloured.
        threshold: an image above it is a defect; a region above it is outlined. At least `calm`.
    """

    calm: float
    threshold: float

    def heat(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores as heat in [0, 1]: 0 up to `calm`, one half at `threshold`, 1 as far above it again and beyond."""
        # Where all held-out normals scored alike, the distance between them says nothing.
        span = max(self.threshold - self.calm, 0.05 * self.threshold, 1e-6)
        heat: NDArray[np.float32] = np.clip((scores - (self.threshold - span)) / (2 * span), 0, 1).astype(np.float32)
        return heat


def draw_heatmap(image: NDArray[np.uint8], scores: NDArray[np.float32], score: float, scale: Scale) -> Image.Image:
    """The image with its hot regions coloured and outlined, the verdict above it and a frame in the verdict's colour.

    Args:
        image: uint8 RGB (H, W, 3).
        scores: float32 (h, w), one per patch, over the whole image, in the unit of `score`.
        score: of the image.
        scale: of the model.
    """
    picture = _fitted(Image.fromarray(image))
    field = np.asarray(Image.fromarray(scores.astype(np.float32)).resize(picture.size, Image.Resampling.BICUBIC))
    tinted = _tint(np.asarray(picture), scale.heat(field))
    _outline(tinted, field > scale.threshold)
    return _framed(Image.fromarray(tinted), score, scale.threshold)


def _fitted(image: Image.Image) -> Image.Image:
    longest = max(image.size)
    factor = np.clip(longest, *_LONGEST_PX) / longest
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX)


def _tint(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    steps = np.linspace(0, 1, len(_INFERNO))
    colour = np.stack([np.interp(heat, steps, channel) for channel in _INFERNO.T], axis=-1)
    strength = (_STRONGEST * np.sqrt(heat))[..., None]
    return (picture * (1 - strength) + colour * strength).round().astype(np.uint8)


def _outline(picture: NDArray[np.uint8], region: NDArray[np.bool_]) -> None:
    """Draws a white line around the region with a dark one outside it, seen on bright and on dark parts."""
    near, far = binary_dilation(region, iterations=2), binary_dilation(region, iterations=4)
    picture[far & ~near] = 20
    picture[near & ~region] = 255


def _framed(picture: Image.Image, score: float, threshold: float) -> Image.Image:
    defect = score > threshold
    width, height = max(picture.width, _NARROWEST_PX), picture.height
    canvas = Image.new("RGB", (width + 2 * _FRAME_PX, height + _BANNER_PX + _FRAME_PX), _RED if defect else _GREEN)
    canvas.paste("black", (_FRAME_PX, _BANNER_PX, _FRAME_PX + width, _BANNER_PX + height))
    canvas.paste(picture, (_FRAME_PX + (width - picture.width) // 2, _BANNER_PX))
    draw = ImageDraw.Draw(canvas)
    middle, font = _BANNER_PX // 2, ImageFont.load_default(_TEXT_PX)
    draw.text((2 * _FRAME_PX, middle), "DEFECT" if defect else "NORMAL", "white", font, anchor="lm")
    figures = f"score {score:#.3g}, limit {threshold:#.3g}"
    draw.text((canvas.width - 2 * _FRAME_PX, middle), figures, "white", font, anchor="rm")
    return canvas
