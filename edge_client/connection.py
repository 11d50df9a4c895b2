"""The channel to the coordinator: mutual TLS, and every failure turned into an `EdgeFedError` at this wall."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from edge_client.identity import Identity, moment
from protos.errors import EdgeFedError, InvalidInput, StateError, Unavailable, error_from_rpc
from protos.invitation import COORDINATOR_NAME
from protos.v1.artifacts_pb2_grpc import ArtifactsStub
from protos.v1.enrolment_pb2_grpc import EnrolmentStub
from protos.v1.releases_pb2_grpc import ReleasesStub
from protos.v1.work_pb2_grpc import WorkStub

CALL_S = 30.0
# A peer that went without an end (a VPN leg, a power cut) leaves a connection that swallows calls. After so long a
# silence it is asked whether it is there, and given up after as long again; else a site in training would talk into it
# for the whole round.
SILENCE_S = 20.0

_BAD_HANDSHAKE = "Tls handshake failed"  # as gRPC says it; whatever is behind it, a person must look

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Raises `InvalidInput`.

    >>> parse_address("[::1]:7700")
    ('::1', 7700)
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InvalidInput(f"{address[:80]!r} is not the address of a coordinator; write HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Connection:
    """One channel with the stubs of every service that a site calls; use it in `async with`.

    Args:
        address: HOST:PORT.
        root_pem: the certificate that the coordinator's must come from, or be.
        key_pem: of the caller.
        certificate_pem: of the caller.
    """

    def __init__(self, address: str, *, root_pem: bytes, key_pem: bytes, certificate_pem: bytes) -> None:
        self.address = address
        self._root_pem, self._key_pem = root_pem, key_pem
        self._closing: asyncio.Task[None] | None = None
        self._open(certificate_pem)

    @classmethod
    def of(cls, identity: Identity) -> Self:
        """The connection of a site that has joined."""
        return cls(
            identity.address,
            root_pem=identity.ca_pem,
            key_pem=identity.key_pem,
            certificate_pem=identity.certificate_pem,
        )

    async def call(
        self, method: aio.UnaryUnaryMultiCallable[Request, Reply], request: Request, *, timeout_s: float = CALL_S
    ) -> Reply:
        """Calls one method of a stub; raises the `EdgeFedError` that a failure stands for."""
        try:
            reply = await method(request, timeout=timeout_s)
        except aio.AioRpcError as error:
            # Never a local variable of this frame: it would hold itself, the call and with it the closed channel, which
            # then goes on dialling. Each attempt of a long outage would leave one behind.
            raise self._failure(error) from error
        if reply is None:  # as gRPC gives what it could not decode
            raise Unavailable(f"what answers at {self.address} does not speak as a coordinator does")
        return reply

    def _failure(self, error: aio.AioRpcError) -> EdgeFedError:
        if _BAD_HANDSHAKE in (error.details() or ""):
            return Unavailable(
                f"what answers at {self.address} has no certificate of the CA that this site joined; is it another "
                f"coordinator, or a clock wrong? This machine's says {moment(datetime.now(UTC))}"
            )
        failure = error_from_rpc(error, self.address)
        if isinstance(failure, StateError):
            # The coordinator's folder and not the site's: as good as a coordinator that is away for a while.
            return Unavailable(f"the coordinator at {self.address} cannot go on: {failure}")
        return failure

    def present(self, certificate_pem: bytes) -> None:
        """Shows a renewed certificate from now on; calls under way end on the old channel."""
        self._closing = asyncio.ensure_future(self._channel.close(grace=CALL_S))
        self._open(certificate_pem)

    def _open(self, certificate_pem: bytes) -> None:
        options = [
            ("grpc.ssl_target_name_override", COORDINATOR_NAME),
            # A channel of its own: a renewed certificate must not meet a connection made with the old one.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.keepalive_time_ms", int(SILENCE_S * 1000)),
            # Not grpc.keepalive_timeout_ms: gRPC 1.81 waits for its ping's own time, which is a minute if not set.
            ("grpc.http2.ping_timeout_ms", int(SILENCE_S * 1000)),
        ]
        credentials = grpc.ssl_channel_credentials(self._root_pem, self._key_pem, certificate_pem)
        self._channel = aio.secure_channel(self.address, credentials, options=options)
        self.work = WorkStub(self._channel)
        self.artifacts = ArtifactsStub(self._channel)
        self.enrolment = EnrolmentStub(self._channel)
        self.releases = ReleasesStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._closing:
            self._closing.cancel()
            await asyncio.wait({self._closing})
        await self._channel.close()
