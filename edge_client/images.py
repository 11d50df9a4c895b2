"""Reads one image of any common kind as RGB, in bounded memory, or says by name why not."""

from __future__ import annotations

import io
import stat
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from protos.errors import InvalidInput

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 50_000_000  # 150 MB as RGB, about four times that while it is decoded
MAX_FILE_BYTES = 512 << 20

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_JPEG_FACTORS = (1, 2, 4, 8)  # by which a JPEG decoder can reduce while it decodes
_TWELVE_BITS = 4095
_SIXTEEN_BITS = 65_535

# Pillow's own guard warns at one figure and fails at another; `_bound` refuses by name, from the header alone.
Image.MAX_IMAGE_PIXELS = None


def read_image(path: Path) -> NDArray[np.uint8]:
    """The first frame of an image, upright, as uint8 RGB (H, W, 3) in [0, 255].

    Transparency is laid over black. Grey, palette, 1-bit and CMYK become RGB. Grey of 16 bits becomes 8 by a fixed
    rule, so that brightness can be compared between images: an image without a value over 4095 is a 12-bit camera's
    and is divided by 16, any other by 256. A baseline JPEG over `MAX_PIXELS` is reduced while it is decoded.

    Raises:
        InvalidInput: not a regular file, not an image, damaged, too large, or of samples without a known range.
    """
    _check_file(path)
    return _read(path, str(path))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """The image in a file's bytes, as `read_image` gives it.

    Args:
        data: of the file.
        name: what to call it in an error.

    Raises:
        InvalidInput: see `read_image`.
    """
    return _read(io.BytesIO(data), name)


def _read(source: Path | io.BytesIO, name: str) -> NDArray[np.uint8]:
    try:
        # Damaged metadata of a sound image is not the reader's business.
        with warnings.catch_warnings(action="ignore"), Image.open(source, formats=_FORMATS) as image:
            _bound(image, name)
            image.load()
            _turn_upright(image)
            return np.array(_rgb(image, name))
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{name} is not a PNG, JPEG, BMP, TIFF or WebP image") from error
    except InvalidInput:
        raise
    except Exception as error:  # a decoder raises whatever the damage leads it to
        raise InvalidInput(f"{name} is damaged and cannot be read as an image: {error}") from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device would be waited for without end
        raise InvalidInput(f"{path} is not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise InvalidInput(
            f"{path} has {status.st_size >> 20} MiB; images of up to {MAX_FILE_BYTES >> 20} MiB are read"
        )


def _bound(image: Image.Image, name: str) -> None:
    """Keeps the decoded image within `MAX_PIXELS`: reduces a baseline JPEG, refuses anything else."""
    width, height = image.size
    # A progressive JPEG is held whole in memory before the first reduced pixel comes out of it.
    if image.format in ("JPEG", "MPO") and "progressive" not in image.info:
        factor = next((factor for factor in _JPEG_FACTORS if width * height <= MAX_PIXELS * factor**2), 1)
        image.draft("RGB", (max(1, width // factor), max(1, height // factor)))
    if image.width * image.height > MAX_PIXELS:
        raise InvalidInput(
            f"{name} has {width} x {height} pixels; at most {MAX_PIXELS // 1_000_000} million are read: save it smaller"
        )


def _turn_upright(image: Image.Image) -> None:
    """Applies the camera's rotation where the EXIF data can be read."""
    # A damaged EXIF block does not make the picture worse.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise InvalidInput(f"{name} holds floating-point samples, whose range is not known: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image), name)).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "black")
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(samples: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    lowest, highest = int(samples.min()), int(samples.max())
    if lowest < 0 or highest > _SIXTEEN_BITS:
        raise InvalidInput(f"{name} holds grey values from {lowest} to {highest}: save it with 8 or 16 bits")
    return (samples // (16 if highest <= _TWELVE_BITS else 256)).astype(np.uint8)
