"""A coordinator that answers with what no coordinator would say: the site tells it, and waits for a better one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from edge_client.agent import Agent
from edge_client.connection import Connection
from edge_client.identity import Identity, save_identity
from edge_client.state import SiteState
from protos.errors import Unavailable
from protos.invitation import COORDINATOR_NAME
from protos.v1 import work_pb2

Answering = Callable[[bytes], Awaitable[Connection]]


@pytest.fixture
async def answering(authority: Any) -> AsyncIterator[Answering]:
    """`await answering(reply)` is a connection to a server that answers every call with these bytes."""
    servers: list[aio.Server] = []

    async def start(reply: bytes) -> Connection:
        async def answer(request: bytes, context: Any) -> bytes:
            return reply

        class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
            def service(self, details: Any) -> Any:
                return grpc.unary_unary_rpc_method_handler(answer)

        servers.append(aio.server(handlers=[Handler()]))
        credentials = grpc.ssl_server_credentials([authority.issue("coordinator", dns=COORDINATOR_NAME)])
        port = servers[-1].add_secure_port("127.0.0.1:0", credentials)
        await servers[-1].start()
        key, certificate = authority.issue("plant-a")
        return Connection(f"127.0.0.1:{port}", root_pem=authority.pem, key_pem=key, certificate_pem=certificate)

    yield start
    for server in servers:
        await server.stop(None)


async def test_an_answer_that_is_no_message_is_an_absent_coordinator(answering: Answering) -> None:
    async with await answering(b"\xff\xff\xff") as connection:
        with pytest.raises(Unavailable, match="does not speak as a coordinator does"):
            await connection.call(connection.work.NextWork, work_pb2.NextWorkRequest())


@pytest.mark.parametrize("clock", [float("nan"), float("inf"), -1e300, 1e300, -1.0])
async def test_a_clock_that_no_calendar_holds_is_a_wrong_clock(
    answering: Answering, authority: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture, clock: float
) -> None:
    state = SiteState(tmp_path)
    state.identity.mkdir()
    key, certificate = authority.issue("plant-a")
    save_identity(state.identity, Identity("plant-a", "c:1", key, certificate, authority.pem))
    reply = work_pb2.HelloReply(protocol=1, clock=clock)
    async with await answering(reply.SerializeToString()) as connection:
        await Agent(state)._greet(connection)
    assert "the coordinator's 1970-01-01 00:00 UTC; set the wrong one" in caplog.text
