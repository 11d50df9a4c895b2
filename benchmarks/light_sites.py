"""Many sites in one process: each with a certificate and a TLS connection of its own, none with a training worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from coordinator.certificates import open_authority
from coordinator.database import open_database
from coordinator.invitations import invite
from coordinator.state import open_state
from edge_client.connection import Connection
from edge_client.enrolment import join
from edge_client.identity import Identity
from edge_client.transfer import IN_FLIGHT
from edgefed.local_federation import LocalFederation
from protos.artifacts import CHUNK_BYTES, WEIGHTS, Manifest, manifest_to_proto
from protos.invitation import encode_token
from protos.v1 import artifacts_pb2, work_pb2

LONG_POLL_S = 25.0


def enrol(running: LocalFederation, count: int) -> list[Identity]:
    """Lets `count` sites join."""
    state = open_state(running.coordinator_state)
    authority, engine = open_authority(state.authority), open_database(state.database)
    address = (state.operator / "address").read_text().strip()
    identities = []
    for name in (f"site-{number:03}" for number in range(count)):
        token = encode_token(invite(engine, authority, name, time.time() + 3600))
        identities.append(join(running.site_state(name), address, token, images=None))
    engine.dispose()
    return identities


@dataclass
class LightSite:
    """A site that has joined; `content` is a file of which it sends its own copy, different in one byte."""

    number: int
    connection: Connection
    content: Path
    at: int = 0

    async def greet(self) -> None:
        """Says hello, as an agent does first."""
        await self.connection.call(
            self.connection.work.Hello, work_pb2.HelloRequest(min_protocol=1, max_protocol=1, software="light")
        )

    async def ask(self, wait_s: float = LONG_POLL_S) -> work_pb2.NextWorkReply:
        """One long poll."""
        request = work_pb2.NextWorkRequest(wait_s=wait_s)
        return await self.connection.call(self.connection.work.NextWork, request, timeout_s=LONG_POLL_S + 10)

    async def take_part(self, declaration: dict[str, str]) -> None:
        """Joins the first job that it is asked into and delivers one round's update."""
        job = (await self.ask()).prepare.job
        request = work_pb2.JoinJobRequest(job=job, declaration=declaration)
        await self.connection.call(self.connection.work.JoinJob, request)
        train = (await self.ask()).train
        manifest = await asyncio.to_thread(self._manifest)
        await self._send(manifest)
        submit = work_pb2.SubmitUpdateRequest(
            job=train.job, round=train.round, epoch=train.epoch, digest=bytes.fromhex(manifest.digest), weight=1.0
        )
        await self.connection.call(self.connection.work.SubmitUpdate, submit, timeout_s=600)

    async def _send(self, manifest: Manifest) -> None:
        digest = bytes.fromhex(manifest.digest)
        announce = artifacts_pb2.HasChunksRequest(manifest=manifest_to_proto(manifest))
        await self.connection.call(self.connection.artifacts.HasChunks, announce, timeout_s=600)
        turn = asyncio.Semaphore(IN_FLIGHT)

        async def send(index: int) -> None:
            async with turn:
                data = self._chunk(index)
                request = artifacts_pb2.PutChunkRequest(digest=digest, index=index, data=data)
                await self.connection.call(self.connection.artifacts.PutChunk, request, timeout_s=600)

        await asyncio.gather(*(send(index) for index in range(len(manifest.chunk_digests))))
        commit = artifacts_pb2.CommitRequest(digest=digest)
        await self.connection.call(self.connection.artifacts.Commit, commit, timeout_s=600)

    def _chunk(self, index: int) -> bytes:
        with self.content.open("rb") as file:
            file.seek(index * CHUNK_BYTES)
            data = bytearray(file.read(CHUNK_BYTES))
        if index == self.at // CHUNK_BYTES:
            data[self.at % CHUNK_BYTES] = self.number
        return bytes(data)

    def _manifest(self) -> Manifest:
        size = self.content.stat().st_size
        root, digests = blake3(), []
        for index in range(-(-size // CHUNK_BYTES)):
            data = self._chunk(index)
            root.update(data)
            digests.append(blake3(data).digest())
        return Manifest(root.hexdigest(), size, WEIGHTS, tuple(digests))


def connected(identities: Sequence[Identity], content: Path = Path(), at: int = 0) -> list[LightSite]:
    """The sites, each on a connection of its own."""
    return [LightSite(number, Connection.of(who), content, at) for number, who in enumerate(identities)]
