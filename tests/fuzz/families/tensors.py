"""Safetensors files: as such, and as updates at the coordinator."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from coordinator import worker
from models.method import RejectedUpdate
from protos.errors import EdgeFedError
from protos.jobs import JobSpec, job_from_table
from protos.tensors import MAX_HEADER_BYTES, read_tensors
from tests.fuzz.family import Family
from tests.fuzz.mutations import EDGES, bend_bytes, bend_json

_DTYPES = ("F16", "F32", "F64", "I64", "BF16", "BOOL", "U8", "C64", "F8_E4M3", "F4", "PICKLE", "")
_SHAPES = (
    [], [0], [1], [0, 2**63], [2**32, 2**32], [2**63], [2**64], [-1], [1, -4], [1] * 33, [1] * 65, [1] * 2000, [1.5],
    ["4"], None, [2**31, 0], [[4]], [10**30],
)  # fmt: skip


def _files() -> list[bytes]:
    floats = np.arange(24, dtype=np.float32)
    plain = save({"w": floats, "b": np.zeros(0, np.float32), "n": np.array(7, np.int64)})
    return [
        plain,
        save({"rows": floats.reshape(6, 4).astype(np.float16), "weights": np.ones(6, np.float32)}),
        save({f"layer.{i}": floats[: i + 1] for i in range(40)}, metadata={"format": "np"}),
        _file(b"{" + _entry("x", "F32", [1], 0, 4) + b"," + _entry("x", "BF16", [2], 0, 4) + b"}", b"1234"),
        _file(b"{" + _entry("a", "F32", [2], 0, 8) + b"," + _entry("b", "F32", [2], 4, 12) + b"}", bytes(12)),
        _file(b"{" + _entry("a", "F32", [1], 0, 4) + b"," + _entry("b", "F32", [1], 8, 12) + b"}", bytes(12)),
        _file(b"{" + _entry("a", "F32", [0, 2**63], 0, 0) + b"}"),
        _file(b"{" + _entry("a", "F32", [0, 2**64 - 1], 0, 0) + b"}"),
        _file(b"{" + _entry("", "F32", [1], 0, 4) + b"}", bytes(4)),
        _file(b'{"__metadata__":{"a":1}}'),
        _file(b'{"a":' * 50_000),
        _file(b" " * MAX_HEADER_BYTES),
        _file(b"{" + b",".join(_entry(f"t{i}", "F32", [0], 0, 0) for i in range(12_000)) + b"}"),
        struct.pack("<Q", 2**63) + b"{}",
    ]  # fmt: skip


def _entry(name: str, dtype: str, shape: list[int], start: int, end: int) -> bytes:
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}'.encode()


def _file(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def bend_file(random: Random, data: bytes) -> bytes:
    """A tensor as such, its entry, the header as JSON, the header's length, or any byte."""
    if random.random() < 0.4:
        return _bend_arrays(random, data)
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    kind = random.random()
    if kind < 0.2 or len(header) > 100_000:
        return bend_bytes(random, data)
    if kind < 0.3:
        return random.choice((length + 1, length - 1, *EDGES)).to_bytes(9, "little", signed=True)[:8] + header + body
    if kind < 0.6:
        return _file(bend_json(random, header), body)
    if kind < 0.75:
        return _file(header, bend_bytes(random, body))
    try:
        entries = json.loads(header)
        entry = random.choice([entry for entry in entries.values() if isinstance(entry, dict)])
    except (ValueError, AttributeError, IndexError, RecursionError):
        return bend_bytes(random, data)
    start = random.choice((0, 4, len(body), *EDGES))
    change = {
        "dtype": random.choice(_DTYPES), "shape": random.choice(_SHAPES),
        "data_offsets": random.choice(([start, start + 4], [4, 0], [0, len(body) + 8], [start], [0, 0], [-4, 0])),
    }  # fmt: skip
    key = random.choice(sorted(change))
    entry[key] = change[key]
    return _file(json.dumps(entries).encode(), body)


def _bend_arrays(random: Random, data: bytes) -> bytes:
    """A sound file in which one tensor has another shape, type or value, or is gone."""
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError):
        return bend_bytes(random, data)
    if not arrays:
        return data
    name = random.choice(sorted(arrays))
    array = np.array(arrays.pop(name))
    with np.errstate(all="ignore"):
        match random.randrange(7):
            case 0:
                array = array.astype(random.choice(("f2", "f4", "f8", "i8", "i4", "u1")))
            case 1:
                array = array.reshape(random.choice(((-1,), (1, -1), (-1, 1), (1, 1, -1))))
            case 2 | 3 if array.size:
                flat = array.reshape(-1)
                flat[random.randrange(flat.size) if random.random() < 0.5 else ...] = _number(random, array.dtype.kind)
            case 4:
                array = array[: random.choice((0, 1, len(array) // 2))] if array.ndim else array
            case 5:
                name = random.choice((*arrays, "other", name + "x", "", "a/b", "__metadata__x"))
            case _:
                array = np.concatenate([array] * random.choice((2, 40))) if array.ndim else array
    return save({**arrays, name: np.ascontiguousarray(array)} if random.random() < 0.9 else arrays)


def _number(random: Random, kind: str) -> float:
    numbers = (0, 1, -1, 100) if kind in "iu" else (0.0, -1.0, 1e-30, 1e30, 65_504.0, np.nan, np.inf, -np.inf)
    return random.choice(numbers) if kind != "u" else random.choice((0, 1, 255))


def _take_file(data: bytes, folder: Path) -> None:
    path = folder / "update"
    path.write_bytes(data)
    arrays = read_tensors(path)
    assert sum(array.nbytes for array in arrays.values()) <= len(data)
    assert all(array.dtype.kind in "fiu" and array.tobytes() is not None for array in arrays.values())


@cache
def _specs() -> tuple[tuple[JobSpec, dict[str, str]], ...]:
    banks = {"name": "cells", "method": "feddymem", "feddymem": {"memory": {"upload_rows": 32}}}
    weights = {"name": "small", "method": "fedavg"}
    return (
        (job_from_table(banks, source="the test"), {"backbone": "x", "backbone_sha256": "0" * 64, "width": "4"}),
        (job_from_table(weights, source="the test"), {"width": "4"}),
    )


def _updates() -> list[bytes]:
    random = np.random.default_rng(0)
    rows = random.random((8, 4), np.float32)
    return [
        save({"rows": rows, "counts": np.ones(8, np.float32)}),
        save({"rows": rows.astype(np.float16), "counts": np.ones(8, np.float32), "weights": np.ones(8, np.float32)}),
        save({"rows": np.full((8, 4), np.nan, np.float32), "counts": np.ones(8, np.float32)}),
        save({"rows": np.full((8, 4), np.inf, np.float16), "counts": np.ones(8, np.float32)}),
        save({"w": rows[0]}),
        save({"w": np.full(4, -np.inf, np.float32)}),
    ]


def _take_update(data: bytes, folder: Path) -> None:
    path = folder / "update"
    path.write_bytes(data)
    refused = 0
    for spec, declaration in _specs():
        try:
            worker.check(spec, declaration, None, path)
        except RejectedUpdate:
            refused += 1
            continue
        updates = [{"site": "plant-a", "weight": 1.0, "discount": 1.0, "path": str(path)}]
        worker.aggregate(spec, 1, updates=updates, previous=None, out=folder / "global")
        assert all(np.isfinite(array).all() for array in read_tensors(folder / "global").values())
    if refused == len(_specs()):
        raise RejectedUpdate("by every method")


TENSORS = (
    Family("safetensors", _files, bend_file, _take_file),
    Family("updates", _updates, bend_file, _take_update, refusals=(EdgeFedError, RejectedUpdate)),
)
