"""What goes over ZeroMQ: a small JSON header and the image behind it, a JSON verdict back.

{"id": 7, "encoding": "file"}                        + the bytes of a PNG, JPEG, BMP, TIFF or WebP file
{"id": 8, "encoding": "raw", "shape": [480, 640, 3]} + uint8 in red, green, blue, row by row

The answer names the `id`.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from protos.errors import InvalidInput

_Id = Annotated[str, Field(max_length=200)] | int | None
_Side = Annotated[int, Field(ge=1, le=1 << 20)]


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: _Id = None


class FileHeader(_Header):
    """An image file follows."""

    encoding: Literal["file"]


class RawHeader(_Header):
    """Pixels follow.

    Attributes:
        shape: height, width, 3.
    """

    encoding: Literal["raw"]
    shape: Annotated[list[_Side], Field(min_length=3, max_length=3)]


Header = FileHeader | RawHeader
_HEADER: TypeAdapter[Header] = TypeAdapter(Annotated[Header, Field(discriminator="encoding")])


def read_header(data: bytes) -> Header:
    """The header of a frame. Raises `InvalidInput`."""
    try:
        return _HEADER.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise InvalidInput(f"the header cannot be read: {where}: {first['msg']}") from error


def raw_image(header: RawHeader, data: bytes) -> NDArray[np.uint8]:
    """The image (h, w, 3) uint8 in a frame's bytes. Raises `InvalidInput` where their number is another one."""
    if math.prod(header.shape) != len(data):
        raise InvalidInput(f"pixels of the shape {header.shape} are {math.prod(header.shape)} bytes; {len(data)} came")
    return np.frombuffer(data, np.uint8).reshape(header.shape)


def split(message: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What a reply begins with, and the sender's own parts: a REQ socket puts an empty one between them."""
    begin = 2 if len(message) > 1 and message[1] == b"" else 1
    return message[:begin], message[begin:]


def encoded(document: dict[str, Any]) -> bytes:
    """A document as the bytes of one part."""
    return json.dumps(document).encode()
