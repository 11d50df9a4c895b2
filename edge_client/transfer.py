"""Artifacts up and down in chunks of 1 MiB. What arrived before a cut or a restart is not sent again."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, TypeVar

from blake3 import blake3

from edge_client.connection import Connection
from edge_client.state import disk_errors
from protos.artifacts import CHUNK_BYTES, Manifest, check_digest, manifest_from_proto, manifest_to_proto
from protos.durable import sync_folder
from protos.errors import IntegrityError, StateError
from protos.v1 import artifacts_pb2

log = logging.getLogger(__name__)

IN_FLIGHT = 4  # enough to keep a link of 100 ms busy with 40 MiB/s, few enough for a small device's memory
_TIMES = 3

Moved = Callable[[int], None]
"""`moved(count)` is told how many bytes have just arrived on the other side."""

Result = TypeVar("Result")


async def missing_chunks(connection: Connection, manifest: Manifest) -> list[int]:
    """Announces an artifact; the indices of the chunks that the coordinator does not have yet."""
    request = artifacts_pb2.HasChunksRequest(manifest=manifest_to_proto(manifest))
    reply = await connection.call(connection.artifacts.HasChunks, request)
    if reply.committed:
        return []
    bitmap = reply.bitmap
    return [
        index
        for index in range(len(manifest.chunk_digests))
        if index // 8 >= len(bitmap) or not bitmap[index // 8] >> (index % 8) & 1
    ]


async def upload(connection: Connection, path: Path, manifest: Manifest, missing: Sequence[int], moved: Moved) -> None:
    """Sends the missing chunks of a file and has the coordinator check the whole.

    Raises:
        Unavailable: the connection was cut; ask for the missing chunks and call again.
        IntegrityError: the file is no longer what its manifest says.
    """
    digest = bytes.fromhex(manifest.digest)
    with path.open("rb") as file:

        async def send(index: int) -> int:
            # Read anew when it goes again: it may have been damaged in this machine's memory.
            data = os.pread(file.fileno(), CHUNK_BYTES, index * CHUNK_BYTES)
            request = artifacts_pb2.PutChunkRequest(digest=digest, index=index, data=data)
            await connection.call(connection.artifacts.PutChunk, request)
            return len(data)

        async with aclosing(_in_order(_undamaged(send), missing)) as sent:
            async for size in sent:
                moved(size)
    await connection.call(connection.artifacts.Commit, artifacts_pb2.CommitRequest(digest=digest))


async def download(connection: Connection, digest: str, folder: Path, moved: Moved) -> Path:
    """Fetches an artifact to `folder/DIGEST`, going on where an earlier call was cut; a complete one is not fetched.

    The partial file is always a run of checked chunks from the start, so that its own bytes say where to go on.

    Raises:
        Unavailable: the connection was cut; call again.
        IntegrityError: the coordinator sent something else than the digest promises.
        StateError: the disk is full; what has arrived stays.
    """
    path = folder / check_digest(digest)
    if path.exists():
        return path
    request = artifacts_pb2.GetManifestRequest(digest=bytes.fromhex(digest))
    manifest = manifest_from_proto(await connection.call(connection.artifacts.GetManifest, request))
    if manifest.digest != digest:
        raise IntegrityError(f"the coordinator sent the manifest of {manifest.digest[:12]} for artifact {digest[:12]}")
    partial = path.with_name(path.name + ".partial")
    with disk_errors(folder), partial.open("a+b") as file:
        root, first = await asyncio.to_thread(_arrived, file, manifest)
        _check_room(folder, manifest.size - file.tell())
        await _fetch_rest(connection, manifest, file, root, first, moved)
        await asyncio.to_thread(os.fsync, file.fileno())
    if root.hexdigest() != digest:
        partial.unlink()
        raise IntegrityError(f"the chunks of artifact {digest[:12]} do not make up what its name says; it was dropped")
    partial.replace(path)
    sync_folder(folder)
    return path


async def _fetch_rest(
    connection: Connection, manifest: Manifest, file: BinaryIO, root: blake3, first: int, moved: Moved
) -> None:
    digest = bytes.fromhex(manifest.digest)

    async def get(index: int) -> bytes:
        request = artifacts_pb2.GetChunkRequest(digest=digest, index=index)
        data = (await connection.call(connection.artifacts.GetChunk, request)).data
        manifest.check_chunk(index, data)
        return data

    index = first
    async with aclosing(_in_order(_undamaged(get), range(first, len(manifest.chunk_digests)))) as arriving:
        async for data in arriving:
            file.write(data)
            root.update(data)
            moved(len(data))
            index += 1
    file.flush()


def _undamaged(transfer: Callable[[int], Awaitable[Result]]) -> Callable[[int], Awaitable[Result]]:
    """The same, but a chunk that was damaged on the way goes again; damaged `_TIMES` times it was not the way."""

    async def insist(index: int) -> Result:
        for _ in range(_TIMES - 1):
            try:
                return await transfer(index)
            except IntegrityError as error:
                log.warning("%s", error)
        return await transfer(index)

    return insist


def _arrived(file: BinaryIO, manifest: Manifest) -> tuple[blake3, int]:
    """Hash and number of the good chunks that a partial file starts with; the rest of it is cut off."""
    root, index = blake3(), 0
    file.seek(0)
    while index < len(manifest.chunk_digests):
        data = file.read(manifest.chunk_size(index))
        try:
            manifest.check_chunk(index, data)
        except IntegrityError:
            break
        root.update(data)
        index += 1
    end = min(index * CHUNK_BYTES, manifest.size)
    file.truncate(end)
    file.seek(end)
    return root, index


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StateError(
            f"no room left on the disk of {folder}: {needed >> 20} MiB more are needed, {free >> 20} MiB are free"
        )


async def _in_order(call: Callable[[int], Awaitable[Result]], indices: Iterable[int]) -> AsyncGenerator[Result, None]:
    """The results of `call(index)`, in the order of the indices, with `IN_FLIGHT` calls under way."""
    under_way: deque[asyncio.Task[Result]] = deque()
    try:
        for index in indices:
            if len(under_way) == IN_FLIGHT:
                yield await under_way.popleft()
            under_way.append(asyncio.ensure_future(call(index)))
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
