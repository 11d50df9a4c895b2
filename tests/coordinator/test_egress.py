"""What one site can learn of another's artifacts by asking for them: nothing, not even whether they are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from grpc import aio

from protos.artifacts import CHUNK_BYTES, MAX_ARTIFACT_BYTES, manifest_to_proto
from protos.v1 import artifacts_pb2, work_pb2

ARRAYS = {"w": np.arange(CHUNK_BYTES // 2, dtype=np.float32)}  # two chunks and the header's bytes


async def answer(call: Awaitable[object], digest: str) -> str:
    """What a call says, with the digest left out."""
    try:
        return str(await call)
    except aio.AioRpcError as error:
        return f"{error.code()} {error.details()}".replace(digest[:12], "DIGEST")


async def test_presence_of_anothers_artifact_cannot_be_told_from_its_absence(plant) -> None:
    owner, spy = await plant("holder"), await plant("prober")
    path, whole = owner.artifact(ARRAYS, "whole")
    await owner.upload(path, whole)
    path, half = owner.artifact({"w": ARRAYS["w"] + 1}, "half")
    await owner.has(half)
    await owner.put(half, path, 0)
    _, absent = owner.artifact({"w": ARRAYS["w"] + 2}, "absent")

    async def probe(manifest) -> list[str]:
        digest = bytes.fromhex(manifest.digest)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: spy.artifacts.GetManifest(artifacts_pb2.GetManifestRequest(digest=digest)),
            lambda: spy.artifacts.GetChunk(artifacts_pb2.GetChunkRequest(digest=digest)),
            lambda: spy.commit(manifest),
            lambda: spy.artifacts.PutChunk(artifacts_pb2.PutChunkRequest(digest=digest, data=b"x")),
            lambda: spy.has(manifest),
            lambda: spy.commit(manifest),
            lambda: spy.artifacts.GetManifest(artifacts_pb2.GetManifestRequest(digest=digest)),
        ]
        return [await answer(call(), manifest.digest) for call in calls]

    told = await probe(absent)
    assert await probe(whole) == told
    assert await probe(half) == told
    assert "committed" not in told[4], "its own empty bitmap, although the coordinator has the bytes"


async def test_anothers_update_cannot_be_delivered_as_ones_own(plant, operator) -> None:
    owner, thief = await plant("author"), await plant("thief")
    digest = await owner.leave({"w": np.ones(8, np.float32)})
    await operator.submit("stolen", rounds={"count": 1, "sites": ["thief"]})
    lease = await thief.lease("stolen")
    assert "thief has not committed artifact" in await answer(thief.submit(lease, digest), digest)


async def test_global_model_of_a_job_is_read_by_its_members_alone(plant, operator) -> None:
    member, outsider = await plant("member"), await plant("outsider")
    await operator.submit("closed", rounds={"count": 1, "sites": ["member"]})
    await member.train(await member.lease("closed"))
    final = (await operator.watch("closed")).global_digest
    assert await member.download(final)
    refused = await answer(outsider.artifacts.GetChunk(artifacts_pb2.GetChunkRequest(digest=final)), final.hex())
    assert "outsider may not read artifact DIGEST" in refused


async def test_largest_announcement_fits_into_a_message_and_a_larger_one_is_told(plant) -> None:
    site = await plant("greedy")
    _, manifest = site.artifact({"w": np.ones(8, np.float32)})
    announced = manifest_to_proto(manifest)
    announced.size, announced.chunk_digests = MAX_ARTIFACT_BYTES, bytes(MAX_ARTIFACT_BYTES // CHUNK_BYTES * 32)
    assert (await site.artifacts.HasChunks(artifacts_pb2.HasChunksRequest(manifest=announced))).bitmap
    announced.size += 1
    told = await answer(site.artifacts.HasChunks(artifacts_pb2.HasChunksRequest(manifest=announced)), manifest.digest)
    assert f"1 to {MAX_ARTIFACT_BYTES} are possible" in told


async def test_a_site_with_too_many_calls_is_told_and_others_are_served(coordinator, plant) -> None:
    crowd, other = await plant("crowd"), await plant("calm")
    channels = [coordinator.channel(coordinator.ca(), crowd.key, crowd.certificate) for _ in range(6)]
    method = "/edgefed.v1.Work/NextWork"
    poll = work_pb2.NextWorkRequest(wait_s=8).SerializeToString()
    calls = [channel.unary_unary(method)(poll) for channel in channels for _ in range(60)]
    with pytest.raises(aio.AioRpcError, match="crowd has 256 calls under way already"):
        await asyncio.gather(*calls)
    assert (await other.next_work(wait_s=0)).WhichOneof("work") is None
    for call in calls:
        call.cancel()
    for channel in channels:
        await channel.close()
