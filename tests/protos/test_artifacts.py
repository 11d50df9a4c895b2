"""The artifact format: golden bytes, bounds, and hostile manifests."""

from pathlib import Path

import pytest

from protos.artifacts import (
    CHUNK_BYTES,
    MAX_ARTIFACT_BYTES,
    MEMORY_BANK,
    WEIGHTS,
    Manifest,
    check_digest,
    digest_of_file,
    manifest_from_proto,
    manifest_of,
    manifest_to_proto,
)
from protos.errors import IntegrityError, InvalidInput
from protos.v1 import artifacts_pb2

ABC = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"  # BLAKE3 of b"abc", published test vector


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    path = tmp_path / "artifact"
    path.write_bytes(b"x" * (CHUNK_BYTES + 5))
    return manifest_of(path, MEMORY_BANK)


def test_digest_is_that_of_b3sum(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    described = manifest_of(tmp_path / "abc", MEMORY_BANK)
    assert described == Manifest(ABC, 3, MEMORY_BANK, (bytes.fromhex(ABC),))
    assert digest_of_file(tmp_path / "abc") == ABC


def test_manifest_survives_the_wire(manifest: Manifest) -> None:
    assert manifest_from_proto(manifest_to_proto(manifest)) == manifest
    assert [manifest.chunk_size(i) for i in range(2)] == [CHUNK_BYTES, 5]


@pytest.mark.parametrize(
    ("index", "data"),
    [(1, b"xxxxy"), (1, b"xxxx"), (1, b"xxxxxx"), (2, b"x"), (-1, b"x"), (0, b"")],
    ids=["flipped", "short", "long", "beyond", "negative", "empty"],
)
def test_chunk_is_refused_when_it_is_not_the_promised_one(manifest: Manifest, index: int, data: bytes) -> None:
    manifest.check_chunk(1, b"xxxxx")
    with pytest.raises(IntegrityError):
        manifest.check_chunk(index, data)


@pytest.mark.parametrize(
    "fault",
    [
        {"digest": b"short"},
        {"size": 0},
        {"size": 1 << 60},
        {"media_type": "text/html"},
        {"chunk_digests": b""},
        {"chunk_digests": b"\0" * 31},
    ],
    ids=str,
)
def test_manifest_from_a_hostile_peer_is_refused(manifest: Manifest, fault: dict[str, object]) -> None:
    message = manifest_to_proto(manifest)
    message.MergeFrom(artifacts_pb2.Manifest(**fault))
    if fault.get("size") == 0:
        message.size = 0
    if fault.get("chunk_digests") == b"":
        message.chunk_digests = b""
    with pytest.raises(InvalidInput):
        manifest_from_proto(message)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(InvalidInput, match="is empty"):
        manifest_of(tmp_path / "empty", MEMORY_BANK)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", ABC.upper(), ABC[:-1], ABC + "\n"])
def test_digest_is_refused_when_it_is_no_safe_file_name(digest: str) -> None:
    assert check_digest(ABC) == ABC
    with pytest.raises(InvalidInput):
        check_digest(digest)


def test_file_that_is_too_large_is_told_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_ARTIFACT_BYTES + 1)
    with pytest.raises(InvalidInput, match="huge has 32 GiB; an artifact has 32 at most"):
        manifest_of(tmp_path / "huge", WEIGHTS)
