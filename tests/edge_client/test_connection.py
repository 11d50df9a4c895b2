import asyncio
import gc
import socket
from typing import Any

import pytest

from coordinator.address import Address
from edge_client.connection import Connection, parse_address
from edgefed.chaos.faults import HALF_OPEN, NO_FAULTS
from edgefed.chaos.proxy import FaultProxy
from protos.errors import InvalidInput, Refused, Unavailable
from protos.v1 import work_pb2


@pytest.mark.parametrize(
    ("text", "expected"),
    [("host:7443", ("host", 7443)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:65535", ("::1", 65535))],
)
def test_an_address_has_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:-1", "host:x"])
def test_an_address_without_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="write HOST:PORT"):
        parse_address(text)


async def hello(connection: Connection) -> work_pb2.HelloReply:
    return await connection.call(connection.work.Hello, work_pb2.HelloRequest())


async def test_a_call_says_who_cannot_be_reached(authority: Any) -> None:
    key, certificate = authority.issue("plant-a")
    async with Connection(
        "127.0.0.1:1", root_pem=authority.pem, key_pem=key, certificate_pem=certificate
    ) as connection:
        with pytest.raises(Unavailable, match=r"the coordinator at 127\.0\.0\.1:1 cannot be reached"):
            await hello(connection)


async def test_an_attempt_that_failed_leaves_nothing_behind_that_goes_on_dialling(authority: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    key, certificate = authority.issue("plant-a")
    gc.disable()  # what only the collector ends may live for hours in a quiet process
    try:
        for _ in range(3):
            opened = Connection(f"127.0.0.1:{port}", root_pem=authority.pem, key_pem=key, certificate_pem=certificate)
            async with opened as connection:
                with pytest.raises(Unavailable):
                    await hello(connection)
        dialled = asyncio.Event()
        server = await asyncio.start_server(lambda reader, writer: dialled.set(), "127.0.0.1", port)
        async with server:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(dialled.wait(), 2.5)  # gRPC dials again after about a second
    finally:
        gc.enable()


async def test_a_server_of_another_ca_gets_no_call(artifact_server: Any, authority: Any, other_authority: Any) -> None:
    key, certificate = authority.issue("plant-a")
    address = f"127.0.0.1:{artifact_server.port}"
    async with Connection(
        address, root_pem=other_authority.pem, key_pem=key, certificate_pem=certificate
    ) as connection:
        with pytest.raises(Unavailable, match="no certificate of the CA that this site joined"):
            await hello(connection)


async def test_an_unknown_call_is_told_as_a_matter_of_versions(connection: Connection) -> None:
    with pytest.raises(Refused, match="does not offer this call; is it older than this client"):
        await hello(connection)


async def test_a_half_open_connection_is_given_up_after_a_silence(
    artifact_server: Any, authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_client.connection.SILENCE_S", 0.3)
    key, certificate = authority.issue("plant-a")
    async with (
        FaultProxy(Address("127.0.0.1", artifact_server.port)) as proxy,
        Connection(str(proxy.address), root_pem=authority.pem, key_pem=key, certificate_pem=certificate) as connection,
    ):
        with pytest.raises(Refused):
            await hello(connection)
        proxy.set(HALF_OPEN)
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await hello(connection)
        proxy.set(NO_FAULTS)
        async with asyncio.timeout(10):
            while (await outcome(connection)) is not Refused:
                await asyncio.sleep(0.05)


async def outcome(connection: Connection) -> type[Exception] | None:
    try:
        await hello(connection)
    except (Refused, Unavailable) as error:
        return type(error)
    return None
