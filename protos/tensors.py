"""Tensors as safetensors files, bounded before they are read. Nothing is ever unpickled."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.parts import Parts
from protos.durable import sync_folder
from protos.errors import InvalidInput, StateError

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 10_000
_DTYPES = {
    name: np.dtype(dtype)
    for name, dtype in (("F16", "<f2"), ("F32", "<f4"), ("F64", "<f8"), ("I32", "<i4"), ("I64", "<i8"), ("U8", "u1"))
}


def write_tensors(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes arrays so that the file is either the old one or the whole new one, also after a power cut.

    The bytes depend on names, dtypes, shapes and values alone, so that equal arrays have equal digests.

    Raises:
        StateError: the disk is full, or the folder cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        save_file({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}, partial)
    except SafetensorError as error:
        raise StateError(f"{path} cannot be written: {error}; make room") from error
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Reads a safetensors file after its header was found sane.

    Raises:
        InvalidInput: not a safetensors file, or one with an absurd header.
    """
    return dict(TensorFile(path))


class TensorFile(Parts):
    """The tensors of a safetensors file, each read when it is looked up and not kept.

    Raises:
        InvalidInput: not a safetensors file, or one with an absurd header.
    """

    def __init__(self, path: Path) -> None:
        self._data_start, self._entries = _read_header(path)
        self._path = path
        try:
            # Not mapped into memory: a mapped file counts as the process's own, page by page, until it is closed.
            file: Any = safe_open(path, framework="numpy", backend="pread")
            self._file, self._names = file, dict.fromkeys(file.keys())
        except (SafetensorError, ValueError, KeyError) as error:
            raise self._unreadable(error) from error

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        if name not in self._names:
            raise KeyError(name)
        try:
            tensor: NDArray[np.generic] = self._file.get_tensor(name)
        except (SafetensorError, ValueError) as error:
            raise self._unreadable(error) from error
        return tensor

    def layout(self, name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """See `Parts`."""
        entry = self._entries[name]
        return _DTYPES[entry["dtype"]], tuple(entry["shape"])

    def part(self, name: str, start: int, stop: int) -> NDArray[np.generic]:
        """See `Parts`."""
        dtype, entry = _DTYPES[self._entries[name]["dtype"]], self._entries[name]
        offset = self._data_start + entry["data_offsets"][0] + start * dtype.itemsize
        values: NDArray[np.generic] = np.fromfile(self._path, dtype, count=stop - start, offset=offset)
        return values

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _unreadable(self, error: Exception) -> InvalidInput:
        return InvalidInput(f"{self._path.name} is not a readable safetensors file: {error}")


def _read_header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the data starts in the file, and each tensor's entry; whether entries fit the data is not seen here."""
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise InvalidInput(f"{path.name} is not a safetensors file: it has only {len(start)} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > MAX_HEADER_BYTES:
            raise InvalidInput(f"{path.name} is not a safetensors file, or its header of {length} bytes is absurd")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        dtypes = {str(entry["dtype"]) for entry in entries.values()}
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise InvalidInput(f"{path.name} is not a safetensors file: its header cannot be read") from error
    if len(entries) > MAX_TENSORS:
        raise InvalidInput(f"{path.name} holds {len(entries)} tensors; at most {MAX_TENSORS} are read")
    if foreign := dtypes - _DTYPES.keys():
        raise InvalidInput(f"{path.name} holds tensors of the type {', '.join(sorted(foreign))}, which is not read")
    return 8 + length, entries
