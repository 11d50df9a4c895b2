import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_client.connection import Connection
from edge_client.transfer import IN_FLIGHT, download, missing_chunks, upload
from protos.artifacts import CHUNK_BYTES, MEMORY_BANK, Manifest, manifest_of
from protos.errors import IntegrityError, InvalidInput, StateError, Unavailable

CHUNKS = 9  # more than two windows, and a bitmap of two bytes


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "update.safetensors"
    path.write_bytes(random.Random(1).randbytes((CHUNKS - 1) * CHUNK_BYTES + 12_345))
    return path


@pytest.fixture
def manifest(content: Path) -> Manifest:
    return manifest_of(content, MEMORY_BANK)


def ignore(count: int) -> None:
    """Progress that nobody wants."""


async def test_upload_sends_every_chunk_once_when_none_is_there(
    artifact_server: Any, connection: Connection, content: Path, manifest: Manifest
) -> None:
    moved: list[int] = []
    missing = await missing_chunks(connection, manifest)
    await upload(connection, content, manifest, missing, moved.append)
    assert sorted(artifact_server.asked) == list(range(CHUNKS))
    assert bytes.fromhex(manifest.digest) in artifact_server.committed
    assert sum(moved) == manifest.size


async def test_upload_sends_only_what_is_missing_when_the_line_was_cut(
    artifact_server: Any, connection: Connection, content: Path, manifest: Manifest
) -> None:
    artifact_server.cut_after = 5
    with pytest.raises(Unavailable, match="the line was cut"):
        await upload(connection, content, manifest, await missing_chunks(connection, manifest), ignore)
    arrived = set(artifact_server.asked)
    assert not artifact_server.committed
    artifact_server.cut_after, artifact_server.asked = None, []
    await upload(connection, content, manifest, await missing_chunks(connection, manifest), ignore)
    assert set(artifact_server.asked) == set(range(CHUNKS)) - arrived
    assert artifact_server.committed


async def test_nothing_is_missing_when_the_artifact_is_committed(
    artifact_server: Any, connection: Connection, content: Path, manifest: Manifest
) -> None:
    artifact_server.committed.add(bytes.fromhex(manifest.digest))
    assert await missing_chunks(connection, manifest) == []


async def test_download_gives_the_same_bytes(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    digest = artifact_server.hold(content, MEMORY_BANK)
    path = await download(connection, digest, tmp_path, ignore)
    assert path == tmp_path / digest
    assert path.read_bytes() == content.read_bytes()
    assert not list(tmp_path.glob("*.partial"))


async def test_download_asks_for_nothing_when_the_file_is_there(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    digest = artifact_server.hold(content, MEMORY_BANK)
    await download(connection, digest, tmp_path, ignore)
    artifact_server.asked = []
    await download(connection, digest, tmp_path, ignore)
    assert artifact_server.asked == []


async def test_download_goes_on_where_it_was_cut(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    digest = artifact_server.hold(content, MEMORY_BANK)
    artifact_server.cut_after = 6
    with pytest.raises(Unavailable):
        await download(connection, digest, tmp_path, ignore)
    arrived = (tmp_path / f"{digest}.partial").stat().st_size // CHUNK_BYTES
    assert arrived >= 6 - IN_FLIGHT
    artifact_server.cut_after, artifact_server.asked = None, []
    path = await download(connection, digest, tmp_path, ignore)
    # A set: a call of the cut download that was under way may reach the server only now.
    assert set(artifact_server.asked) == set(range(arrived, CHUNKS))
    assert path.read_bytes() == content.read_bytes()


def torn(data: bytes) -> bytes:
    return data[: 3 * CHUNK_BYTES + 77]


def with_a_hole(data: bytes) -> bytes:
    return data[: 2 * CHUNK_BYTES] + bytes(CHUNK_BYTES) + data[3 * CHUNK_BYTES :]


def too_long(data: bytes) -> bytes:
    return data + b"more"


@pytest.mark.parametrize(("left_by_a_power_cut", "good"), [(torn, 3), (with_a_hole, 2), (too_long, CHUNKS)])
async def test_download_trusts_only_checked_chunks_when_a_partial_file_is_damaged(
    artifact_server: Any,
    connection: Connection,
    content: Path,
    tmp_path: Path,
    left_by_a_power_cut: Callable[[bytes], bytes],
    good: int,
) -> None:
    digest = artifact_server.hold(content, MEMORY_BANK)
    (tmp_path / f"{digest}.partial").write_bytes(left_by_a_power_cut(content.read_bytes()))
    path = await download(connection, digest, tmp_path, ignore)
    assert sorted(artifact_server.asked) == list(range(good, CHUNKS))
    assert path.read_bytes() == content.read_bytes()


async def test_download_refuses_a_chunk_that_was_damaged(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    digest = artifact_server.hold(content, MEMORY_BANK)
    artifact_server.damage.add(4)
    with pytest.raises(IntegrityError, match="chunk 4"):
        await download(connection, digest, tmp_path, ignore)
    assert not (tmp_path / digest).exists()
    assert (tmp_path / f"{digest}.partial").stat().st_size == 4 * CHUNK_BYTES


async def test_download_refuses_chunks_that_do_not_make_up_the_name(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    """A lying coordinator: every chunk fits the manifest, but the manifest does not fit the digest."""
    lie = bytes(32)
    real = manifest_of(content, MEMORY_BANK)
    artifact_server.hold(content, MEMORY_BANK)
    artifact_server.manifests[lie] = Manifest(lie.hex(), real.size, MEMORY_BANK, real.chunk_digests)
    for index in range(CHUNKS):
        artifact_server.chunks[lie, index] = artifact_server.chunks[bytes.fromhex(real.digest), index]
    with pytest.raises(IntegrityError, match="do not make up what its name says"):
        await download(connection, lie.hex(), tmp_path, ignore)
    assert [path.name for path in tmp_path.iterdir()] == [content.name]


async def test_download_refuses_the_manifest_of_another_artifact(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    artifact_server.manifests[bytes(32)] = manifest_of(content, MEMORY_BANK)
    with pytest.raises(IntegrityError, match="for artifact 000000000000"):
        await download(connection, "0" * 64, tmp_path, ignore)


async def test_download_refuses_a_digest_that_is_no_file_name(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not an artifact digest"):
        await download(connection, "../../etc/passwd", tmp_path, ignore)


async def test_download_says_so_when_there_is_no_room(
    artifact_server: Any, connection: Connection, content: Path, tmp_path: Path
) -> None:
    """The announced size alone is enough: not one chunk is fetched."""
    size = 30 << 30
    chunks = tuple(bytes(32) for _ in range(size // CHUNK_BYTES))
    artifact_server.manifests[bytes(32)] = Manifest("0" * 64, size, MEMORY_BANK, chunks)
    free = "edge_client.transfer.shutil.disk_usage"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(free, lambda folder: type("Usage", (), {"free": 1 << 20}))
        with pytest.raises(StateError, match="30720 MiB more are needed, 1 MiB are free"):
            await download(connection, "0" * 64, tmp_path, ignore)
    assert artifact_server.asked == []
