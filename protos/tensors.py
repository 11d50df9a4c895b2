"""Tensors as safetensors files, bounded before they are read. Nothing is ever unpickled."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from protos.errors import InvalidInput, StateError

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 10_000
_DTYPES = frozenset({"F16", "F32", "F64", "I32", "I64", "U8"})


def write_tensors(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes arrays so that the file is either the old one or the whole new one, also after a power cut.

    The bytes depend on names, dtypes, shapes and values alone, so that equal arrays have equal digests.

    Raises:
        StateError: the disk is full, or the folder cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        save_file({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}, partial)
    except SafetensorError as error:
        raise StateError(f"{path} cannot be written: {error}; make room") from error
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Reads a safetensors file after its header was found sane.

    Raises:
        InvalidInput: not a safetensors file, or one with an absurd header.
    """
    _check_header(path)
    try:
        return dict(load_file(path, backend="pread"))
    except (SafetensorError, ValueError, KeyError) as error:
        raise InvalidInput(f"{path.name} is not a readable safetensors file: {error}") from error


def _check_header(path: Path) -> None:
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
    if foreign := dtypes - _DTYPES:
        raise InvalidInput(f"{path.name} holds tensors of the type {', '.join(sorted(foreign))}, which is not read")
