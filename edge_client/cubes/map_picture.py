"""A classification map as a picture with a legend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edge_client.cubes.colours import colours

_LONGEST_PX = (512, 4096)  # the map is enlarged or reduced until its longer side lies in here
_LINE_PX, _SWATCH_PX, _MARGIN_PX, _TEXT_PX = 26, 18, 14, 15
_LONGEST_NAME = 48  # characters
_NO_CLASS = "no data"


def draw_map(classes: NDArray[np.integer], names: tuple[str, ...]) -> Image.Image:
    """The map (h, w), 0 without a class, beside the name, colour and share of each class that is on it."""
    picture = _fitted(Image.fromarray(colours(len(names))[classes]))
    counts = np.bincount(classes.ravel(), minlength=len(names) + 1)
    # What has no class comes last, where there is such a thing at all.
    lines = [(names[number - 1], number) for number in range(1, len(names) + 1) if counts[number]]
    lines += [(_NO_CLASS, 0)] if counts[0] else []
    texts = [(f"{_short(name)}  {100 * counts[number] / classes.size:.1f} %", number) for name, number in lines]
    return _with_legend(picture, texts, colours(len(names)))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _fitted(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    factor = np.clip(longest, *_LONGEST_PX) / longest
    # A mixture of two classes' colours would be a third class's: no pixel is blended.
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.NEAREST)


def _with_legend(picture: Image.Image, lines: list[tuple[str, int]], palette: NDArray[np.uint8]) -> Image.Image:
    font = ImageFont.load_default(_TEXT_PX)
    widest = max(font.getlength(text) for text, _ in lines)
    width = picture.width + 3 * _MARGIN_PX + _SWATCH_PX + round(widest) + _MARGIN_PX
    canvas = Image.new("RGB", (width, max(picture.height, len(lines) * _LINE_PX + 2 * _MARGIN_PX)), "white")
    canvas.paste(picture, (0, 0))
    draw = ImageDraw.Draw(canvas)
    left = picture.width + _MARGIN_PX
    for line, (text, number) in enumerate(lines):
        top = _MARGIN_PX + line * _LINE_PX
        colour = tuple(int(part) for part in palette[number])
        draw.rectangle((left, top, left + _SWATCH_PX, top + _SWATCH_PX), colour, "black")
        draw.text((left + _SWATCH_PX + _MARGIN_PX, top + _SWATCH_PX / 2), text, "black", font, anchor="lm")
    return canvas
