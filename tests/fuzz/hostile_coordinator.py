"""A coordinator that answers a site with whatever a random generator says, over real TLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
from blake3 import blake3
from google.protobuf.message import Message
from grpc import aio
from safetensors.numpy import save

from protos.artifacts import CHUNK_BYTES, MEMORY_BANK
from protos.errors import ERROR_KEY
from protos.v1 import artifacts_pb2 as artifacts
from protos.v1 import work_pb2 as work
from tests.fuzz.messages import bend_message
from tests.fuzz.mutations import bend_bytes

_ERRORS = ("Refused", "InvalidInput", "IntegrityError", "Unavailable", "StateError", "Nothing", "")
_CODES = tuple(code for code in grpc.StatusCode if code is not grpc.StatusCode.OK)


def bank() -> bytes:
    """A global model of the method `rehearsal`."""
    import numpy as np

    return save({"memory": np.ones((8, 4), np.float32)})


@dataclass
class HostileCoordinator(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers like a sound coordinator that serves one artifact, and bends some of its answers.

    Attributes:
        random: says what comes next.
        content: of the artifact.
    """

    random: Random = field(default_factory=Random)
    content: bytes = field(default_factory=bank)

    @property
    def digest(self) -> bytes:
        """Of the artifact."""
        return blake3(self.content).digest()

    def service(self, details: Any) -> Any:
        """One handler for every method."""
        name = details.method.rpartition("/")[2]

        async def answer(request: bytes, context: aio.ServicerContext[Any, Any]) -> bytes:
            kind = self.random.random()
            if kind < 0.05:
                trailing = ((ERROR_KEY, self.random.choice(_ERRORS)),)
                await context.abort(self.random.choice(_CODES), "x" * self.random.choice((0, 10, 4000)), trailing)
            reply = self._sound(name)
            for _ in range(self.random.choice((0, 0, 0, 1, 2))):
                bend_message(self.random, reply)
            data = reply.SerializeToString()
            return bend_bytes(self.random, data) if kind > 0.93 else data

        return grpc.unary_unary_rpc_method_handler(answer)

    def _sound(self, name: str) -> Message:
        chunks = [self.content[at : at + CHUNK_BYTES] for at in range(0, len(self.content), CHUNK_BYTES)]
        manifest = artifacts.Manifest(
            digest=self.digest, size=len(self.content), media_type=MEMORY_BANK,
            chunk_digests=b"".join(blake3(chunk).digest() for chunk in chunks),
        )  # fmt: skip
        replies: dict[str, Message] = {
            "Hello": work.HelloReply(protocol=1, software="edgefed 9", clock=1.9e9, site="plant-a"),
            "JoinJob": work.JoinJobReply(accepted=self.random.random() < 0.7, reason="because"),
            "Heartbeat": work.HeartbeatReply(lease_valid=self.random.random() < 0.9, queued_jobs=["other"]),
            "SubmitUpdate": work.SubmitUpdateReply(accepted=self.random.random() < 0.7, reason="because"),
            "FailRound": work.FailRoundReply(),
            "ReportInstalled": work.ReportInstalledReply(),
            "HasChunks": artifacts.HasChunksReply(bitmap=b"\0", committed=self.random.random() < 0.1),
            "PutChunk": artifacts.PutChunkReply(),
            "Commit": artifacts.CommitReply(size=len(self.content)),
            "GetManifest": manifest,
            "GetChunk": artifacts.GetChunkReply(data=chunks[0]),
        }
        return replies[name]
