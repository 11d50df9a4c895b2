from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from coordinator.artifact_store import ArtifactStore
from coordinator.database import open_database
from coordinator.state import create_state
from coordinator.uploads import MAX_UPLOADS
from protos.artifacts import CHUNK_BYTES, MAX_ARTIFACT_BYTES, WEIGHTS, Manifest, manifest_of
from protos.errors import IntegrityError, InvalidInput, StateError

CONTENT = np.random.default_rng(1).bytes(3 * CHUNK_BYTES + 17)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    state = create_state(tmp_path / "state")
    engine = open_database(state.database)
    yield engine
    engine.dispose()


@pytest.fixture
def store(tmp_path: Path, engine: Engine) -> ArtifactStore:
    return open_store(tmp_path, engine)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return manifest_of(path, WEIGHTS)


def open_store(tmp_path: Path, engine: Engine) -> ArtifactStore:
    state = create_state(tmp_path / "state")
    return ArtifactStore(state.artifacts, state.partial, engine)


def chunk(index: int) -> bytes:
    return CONTENT[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]


async def send(store: ArtifactStore, site: str, manifest: Manifest, *indices: int) -> None:
    upload = await store.uploads.announce(site, manifest)
    for index in indices:
        await upload.put(index, chunk(index))


async def test_committed_artifact_is_read_back_in_chunks(store: ArtifactStore, manifest: Manifest) -> None:
    await send(store, "a", manifest, 3, 1, 0, 2, 1)
    assert await store.commit("a", manifest.digest) == len(CONTENT)
    assert b"".join(store.read_chunk(manifest.digest, index) for index in range(4)) == CONTENT
    assert store.manifest(manifest.digest) == manifest


async def test_commit_again_gives_the_first_answer(store: ArtifactStore, manifest: Manifest) -> None:
    await send(store, "a", manifest, 0, 1, 2, 3)
    sizes = await asyncio.gather(*(store.commit("a", manifest.digest) for _ in range(3)))
    assert sizes == [len(CONTENT)] * 3


async def test_upload_goes_on_where_it_was_when_the_process_is_new(
    tmp_path: Path, engine: Engine, store: ArtifactStore, manifest: Manifest
) -> None:
    await send(store, "a", manifest, 0, 3)
    again = open_store(tmp_path, engine)
    assert (await again.uploads.announce("a", manifest)).bitmap == bytes([0b1001])
    await send(again, "a", manifest, 1, 2)
    assert await again.commit("a", manifest.digest) == len(CONTENT)


async def test_chunk_that_a_power_cut_damaged_is_asked_for_again(
    tmp_path: Path, engine: Engine, store: ArtifactStore, manifest: Manifest
) -> None:
    await send(store, "a", manifest, 0, 1, 2, 3)
    data = tmp_path / "state" / "partial" / "a" / manifest.digest / "data"
    with data.open("r+b") as file:
        file.seek(CHUNK_BYTES)
        file.write(bytes(100))
    again = open_store(tmp_path, engine)
    assert (await again.uploads.announce("a", manifest)).bitmap == bytes([0b1101])


async def test_damaged_chunk_is_refused_and_the_good_one_is_taken(store: ArtifactStore, manifest: Manifest) -> None:
    upload = await store.uploads.announce("a", manifest)
    for bad in (chunk(1), chunk(0)[:-1], b""):
        with pytest.raises(IntegrityError, match="chunk 0 of artifact"):
            await upload.put(0, bad)
    await upload.put(0, chunk(0))
    assert upload.bitmap == bytes([0b0001])


async def test_chunk_beyond_the_end_is_refused(store: ArtifactStore, manifest: Manifest) -> None:
    upload = await store.uploads.announce("a", manifest)
    with pytest.raises(IntegrityError, match="has no chunk 4"):
        await upload.put(4, b"x")


async def test_commit_with_missing_chunks_is_refused_and_nothing_is_lost(
    store: ArtifactStore, manifest: Manifest
) -> None:
    await send(store, "a", manifest, 0, 1)
    with pytest.raises(InvalidInput, match="lacks 2 chunks"):
        await store.commit("a", manifest.digest)
    await send(store, "a", manifest, 2, 3)
    await store.commit("a", manifest.digest)


async def test_content_under_a_wrong_name_is_refused(store: ArtifactStore, manifest: Manifest) -> None:
    wrong = Manifest("0" * 64, manifest.size, WEIGHTS, manifest.chunk_digests)
    await send(store, "a", wrong, 0, 1, 2, 3)
    with pytest.raises(IntegrityError, match="do not add up"):
        await store.commit("a", wrong.digest)
    assert not store.path(wrong.digest).exists()
    assert (await store.uploads.announce("a", wrong)).bitmap == b"\0"


async def test_commit_of_what_was_never_announced_is_told(store: ArtifactStore, manifest: Manifest) -> None:
    with pytest.raises(InvalidInput, match="ask HasChunks first"):
        await store.commit("a", manifest.digest)


async def test_commit_goes_on_when_it_was_killed_before_it_was_noted(
    tmp_path: Path, engine: Engine, store: ArtifactStore, manifest: Manifest
) -> None:
    await send(store, "a", manifest, 0, 1, 2, 3)
    data = tmp_path / "state" / "partial" / "a" / manifest.digest / "data"
    store.path(manifest.digest).parent.mkdir()
    store.path(manifest.digest).hardlink_to(data)
    again = open_store(tmp_path, engine)
    assert await again.commit("a", manifest.digest) == len(CONTENT)


async def test_equal_content_is_stored_once_and_each_site_must_send_it(
    store: ArtifactStore, manifest: Manifest
) -> None:
    await send(store, "a", manifest, 0, 1, 2, 3)
    await store.commit("a", manifest.digest)
    assert not store.owned_by("b", manifest.digest)
    await send(store, "b", manifest, 0, 1, 2, 3)
    await store.commit("b", manifest.digest)
    assert store.owned_by("b", manifest.digest)
    assert store.path(manifest.digest).read_bytes() == CONTENT


async def test_equal_content_at_the_same_time_is_stored_once(store: ArtifactStore, manifest: Manifest) -> None:
    sites = [f"site-{number}" for number in range(8)]
    for site in sites:
        await send(store, site, manifest, 0, 1, 2, 3)
    await asyncio.gather(*(store.commit(site, manifest.digest) for site in sites))
    assert all(store.owned_by(site, manifest.digest) for site in sites)


async def test_lying_manifest_of_one_site_does_not_touch_anothers_upload(
    store: ArtifactStore, manifest: Manifest
) -> None:
    lie = Manifest(manifest.digest, 2 * CHUNK_BYTES, WEIGHTS, (b"\0" * 32,) * 2)
    await store.uploads.announce("liar", lie)
    await send(store, "a", manifest, 0, 1, 2, 3)
    assert await store.commit("a", manifest.digest) == len(CONTENT)


async def test_oldest_upload_is_dropped_when_a_site_opens_too_many(
    tmp_path: Path, store: ArtifactStore, manifest: Manifest
) -> None:
    for number in range(MAX_UPLOADS + 3):
        await store.uploads.announce("a", Manifest(f"{number:064x}", 1, WEIGHTS, (b"\0" * 32,)))
        await asyncio.sleep(0.01)  # the folders' times tell which one is the oldest
    left = sorted(path.name for path in (tmp_path / "state" / "partial" / "a").iterdir())
    assert left == [f"{number:064x}" for number in range(3, MAX_UPLOADS + 3)]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses longer files, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_full_disk_is_told_and_the_upload_goes_on_when_there_is_room(
    store: ArtifactStore, manifest: Manifest
) -> None:
    await send(store, "a", manifest, 0)
    upload = await store.uploads.announce("a", manifest)
    for limit in (CHUNK_BYTES, CHUNK_BYTES + 1000):
        with files_of_at_most(limit), pytest.raises(StateError, match="no room on the coordinator's disk"):
            await upload.put(1, chunk(1))
    assert upload.bitmap == bytes([0b0001])
    await send(store, "a", manifest, 1, 2, 3)
    await store.commit("a", manifest.digest)


async def test_announcement_that_does_not_fit_is_told(store: ArtifactStore, manifest: Manifest) -> None:
    with files_of_at_most(CHUNK_BYTES), pytest.raises(StateError, match="no room on the coordinator's disk"):
        await store.uploads.announce("a", manifest)
    await send(store, "a", manifest, 0)


async def test_adopted_file_is_moved_into_the_store(tmp_path: Path, store: ArtifactStore, manifest: Manifest) -> None:
    made = tmp_path / "state" / "partial" / "job.global"
    made.write_bytes(CONTENT)
    assert await store.adopt(made, WEIGHTS) == manifest
    assert not made.exists()
    assert store.read_chunk(manifest.digest, 3) == chunk(3)


def test_unknown_artifact_and_chunk_are_told(store: ArtifactStore) -> None:
    with pytest.raises(InvalidInput, match="there is no artifact"):
        store.read_chunk("0" * 64, 0)
    with pytest.raises(InvalidInput, match="there is no artifact"):
        store.manifest("0" * 64)


@pytest.mark.timeout(30)
async def test_the_largest_announcement_of_which_nothing_came_costs_no_time_after_a_restart(
    tmp_path: Path, engine: Engine, manifest: Manifest
) -> None:
    chunks = MAX_ARTIFACT_BYTES // CHUNK_BYTES
    huge = Manifest("ab" * 32, MAX_ARTIFACT_BYTES, WEIGHTS, (bytes(32),) * chunks)
    await open_store(tmp_path, engine).uploads.announce("plant-a", huge)
    began = time.process_time()
    upload = await open_store(tmp_path, engine).uploads.find("plant-a", huge.digest)
    assert time.process_time() - began < 3, "32 GiB that were never sent were read"
    assert upload is not None and upload.missing == chunks
