"""Safetensors in and out: golden bytes, order invariance, and hostile headers."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from protos.errors import InvalidInput
from protos.tensors import TensorFile, read_tensors, write_tensors


def _file(path: Path, header: bytes, body: bytes = b"", length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + body)
    return path


def test_bytes_depend_on_content_alone(tmp_path: Path) -> None:
    rows, counts = np.arange(6, dtype=np.float16).reshape(3, 2), np.ones(3, np.float32)
    write_tensors(tmp_path / "a", {"rows": rows, "counts": counts})
    write_tensors(tmp_path / "b", {"counts": counts, "rows": np.asfortranarray(rows)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read = read_tensors(tmp_path / "a")
    assert read["rows"].dtype == np.float16 and np.array_equal(read["rows"], rows)


def test_header_is_golden(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {"x": np.array([1.0], np.float32)})
    raw = (tmp_path / "a").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    assert json.loads(raw[8 : 8 + length]) == {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    assert raw[8 + length :] == b"\x00\x00\x80\x3f"


HOSTILE = {
    "too short": lambda p: p.write_bytes(b"abc"),
    "absurd length": lambda p: _file(p, b"{}", length=1 << 62),
    "length past the end": lambda p: _file(p, b"{}", length=1000),
    "not json": lambda p: _file(p, b"{not json"),
    "not utf-8": lambda p: _file(p, b"\xff\xfe"),
    "a list": lambda p: _file(p, b"[1]"),
    "entry is no object": lambda p: _file(p, b'{"x": 3}'),
    "unknown dtype": lambda p: _file(p, b'{"x":{"dtype":"PICKLE","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "offsets past the end": lambda p: _file(p, b'{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}', b"abcd"),
    "overflow": lambda p: _file(p, b'{"x":{"dtype":"F32","shape":[4294967296,9],"data_offsets":[0,4]}}', b"abcd"),
    "deep json": lambda p: _file(p, b"[" * 100_000),
    "pickle": lambda p: p.write_bytes(b"\x80\x04\x95" + b"\x00" * 64),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    HOSTILE[name](tmp_path / "update")
    with pytest.raises(InvalidInput, match="update"):
        read_tensors(tmp_path / "update")


def test_old_file_stays_when_writing_fails(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {"x": np.ones(1, np.float32)})
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(Exception, match=r"."):
        write_tensors(tmp_path / "a", {"x": np.array(["text"])})
    assert (tmp_path / "a").read_bytes() == before


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8])
def test_a_part_is_that_of_the_whole_tensor_laid_out_flat(tmp_path: Path, dtype: type[np.generic]) -> None:
    arrays = {"a": np.arange(24).reshape(2, 3, 4).astype(dtype), "b": np.full((), 7, dtype), "c": np.empty(0, dtype)}
    path = tmp_path / "tensors"
    write_tensors(path, arrays)
    file = TensorFile(path)
    for name, array in arrays.items():
        assert file.layout(name) == (array.dtype, array.shape)
        for start, stop in ((0, array.size), (array.size // 2, array.size)):
            np.testing.assert_array_equal(file.part(name, start, stop), array.reshape(-1)[start:stop])
