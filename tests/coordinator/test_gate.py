"""Chunks of many calls at once, though no more than a connection may have: all are served, and none keeps its place."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from grpc import aio

from protos.v1 import artifacts_pb2


async def test_many_chunks_at_once_are_all_taken_and_given(plant: Any) -> None:
    site = await plant("crowd")
    path, manifest = site.artifact({"w": np.random.default_rng(0).random(16 << 18, dtype=np.float32)})
    await site.has(manifest)
    indices = range(len(manifest.chunk_digests))
    await asyncio.gather(*(site.put(manifest, path, index) for index in indices for _ in range(3)))
    await site.commit(manifest)
    digest = bytes.fromhex(manifest.digest)
    requests = [artifacts_pb2.GetChunkRequest(digest=digest, index=index) for index in indices for _ in range(3)]
    replies = await asyncio.gather(*(site.artifacts.GetChunk(request) for request in requests))
    for request, reply in zip(requests, replies, strict=True):
        manifest.check_chunk(request.index, reply.data)


async def test_calls_that_were_cut_leave_room_for_others(plant: Any) -> None:
    site = await plant("cutter")
    path, manifest = site.artifact({"w": np.random.default_rng(0).random(16 << 18, dtype=np.float32)})
    await site.has(manifest)
    for _ in range(5):
        cut = [asyncio.ensure_future(site.put(manifest, path, index % 16)) for index in range(48)]
        await asyncio.sleep(0.005)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
    await asyncio.wait_for(site.upload(path, manifest), 20)
    assert (await site.has(manifest)).committed


async def test_other_calls_do_not_wait_for_chunks(coordinator: Any, plant: Any) -> None:
    site, other = await plant("sender"), await plant("asker")
    path, manifest = site.artifact({"w": np.random.default_rng(0).random(16 << 18, dtype=np.float32)})
    await site.has(manifest)
    sending = [asyncio.ensure_future(site.put(manifest, path, index % 16)) for index in range(48)]
    for _ in range(10):
        await asyncio.wait_for(other.next_work(wait_s=0), 2)
    await asyncio.gather(*sending)
    assert not [task for task in sending if isinstance(task.exception(), aio.AioRpcError)]
