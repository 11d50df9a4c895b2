"""The header of an ENVI file: text that says what the bytes of the file beside it mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protos.errors import InvalidInput

_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_ORDERS = {"0": "<", "1": ">"}
_INTERLEAVES = ("bsq", "bil", "bip")
_MOST_BYTES = 16 << 20
_ENTRY = re.compile(r"^[ \t]*([^=\n{}]+?)[ \t]*=[ \t]*(\{[^}]*\}|[^\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class EnviHeader:
    """What an ENVI header says; h, w, b as in `lines`, `samples`, `bands`.

    Attributes:
        path: of the header.
        lines: h.
        samples: w.
        bands: b.
        dtype: of a value, with its byte order.
        interleave: "bsq", "bil" or "bip".
        offset: bytes before the first value.
        entries: every entry by its name in lower case, without braces.
    """

    path: Path
    lines: int
    samples: int
    bands: int
    dtype: np.dtype[np.generic]
    interleave: str
    offset: int
    entries: Mapping[str, str]

    def listed(self, name: str) -> tuple[str, ...] | None:
        """The items of a list in braces, None where there is no such entry."""
        text = self.entries.get(name)
        return None if text is None else tuple(item.strip() for item in text.split(",") if item.strip())

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """The numbers of a list of one per band. Raises `InvalidInput` where they are not that."""
        items = self.listed(name)
        if items is None:
            return None
        try:
            values = tuple(float(item) for item in items)
        except ValueError as error:
            raise InvalidInput(f"the header {self.path} has no numbers under {name!r}: {error}") from error
        if len(values) != self.bands:
            raise InvalidInput(f"the header {self.path} has {len(values)} values under {name!r} for {self.bands} bands")
        return values


def read_header(path: Path) -> EnviHeader:
    """Reads a `.hdr` file.

    Raises:
        InvalidInput: it cannot be read, is no ENVI header, lacks an entry or has one that means nothing.
    """
    entries = _entries(path)
    lines, samples, bands = (_whole(path, entries, name, 1) for name in ("lines", "samples", "bands"))
    offset = _whole(path, {"header offset": "0", **entries}, "header offset", 0)
    interleave = _entry(path, entries, "interleave").lower()
    if interleave not in _INTERLEAVES:
        raise InvalidInput(f"the header {path} has the interleave {interleave!r}; it is one of bsq, bil, bip")
    kind = _whole(path, entries, "data type", 1)
    if kind not in _TYPES:
        raise InvalidInput(f"the header {path} has the data type {kind}; integers and real floats are read")
    order = entries.get("byte order", "0")
    if order not in _ORDERS:
        raise InvalidInput(f"the header {path} has the byte order {order!r}; it is 0 or 1")
    dtype = np.dtype(_ORDERS[order] + _TYPES[kind])
    return EnviHeader(path, lines, samples, bands, dtype, interleave, offset, entries)


def _entries(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InvalidInput(f"the header {path} cannot be read: {error.strerror}") from error
    if not text.startswith("ENVI"):
        raise InvalidInput(f"{path} is no ENVI header: it does not start with the word ENVI")
    found = {}
    for name, value in _ENTRY.findall(text):
        if value.startswith("{") and ("{" in value[1:] or not value.endswith("}")):
            raise InvalidInput(f"the header {path} is damaged: the brace of {name!r} is not closed")
        found[" ".join(name.lower().split())] = value.strip("{}").strip()
    return found


def _entry(path: Path, entries: Mapping[str, str], name: str) -> str:
    if name not in entries:
        raise InvalidInput(f"the header {path} does not say {name!r}; it is damaged or no header of an image")
    return entries[name]


def _whole(path: Path, entries: Mapping[str, str], name: str, least: int) -> int:
    text = _entry(path, entries, name)
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) < least:
        raise InvalidInput(f"the header {path} has {name} = {text[:40]!r}, which is no number from {least} up")
    return int(text)
