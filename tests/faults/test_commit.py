"""Commit over real connections: nothing before everything is there, and a repeat answers as the first time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from edge_client.connection import Connection
from edge_client.identity import load_identity
from edge_client.state import SiteState
from edge_client.transfer import missing_chunks
from protos.artifacts import CHUNK_BYTES, MEMORY_BANK, manifest_of
from protos.errors import InvalidInput, Unavailable
from protos.tensors import write_tensors
from protos.v1 import artifacts_pb2
from tests.faults.deployment import Deployment
from tests.faults.scenarios import A


async def test_commit_answers_the_same_when_it_is_repeated_also_after_a_kill(
    deployment: Deployment, tmp_path: Path
) -> None:
    path = tmp_path / "bank.safetensors"
    write_tensors(path, {"memory": np.arange(1 << 19, dtype=np.float32)})
    manifest, data = manifest_of(path, MEMORY_BANK), path.read_bytes()
    digest = bytes.fromhex(manifest.digest)
    commit = artifacts_pb2.CommitRequest(digest=digest)
    async with Connection.of(load_identity(SiteState(deployment.site(A)))) as line:
        missing = await missing_chunks(line, manifest)
        assert missing == [0, 1, 2]
        for index in missing:
            with pytest.raises(InvalidInput, match="lacks"):
                await line.call(line.artifacts.Commit, commit)
            chunk = data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
            await line.call(
                line.artifacts.PutChunk, artifacts_pb2.PutChunkRequest(digest=digest, index=index, data=chunk)
            )
        first = await line.call(line.artifacts.Commit, commit)
        assert first.size == len(data)
        assert await line.call(line.artifacts.Commit, commit) == first
        before = len(deployment.deaths)
        deployment.kill("coordinator")
        await asyncio.to_thread(deployment.until_restarted, "coordinator", before)
        assert await _persistently(line, commit) == first
        assert await missing_chunks(line, manifest) == []


async def _persistently(line: Connection, commit: artifacts_pb2.CommitRequest) -> artifacts_pb2.CommitReply:
    async with asyncio.timeout(60):
        while True:
            try:
                return await line.call(line.artifacts.Commit, commit)
            except Unavailable:
                await asyncio.sleep(0.1)
