"""Every fault on real sockets: an echo server, the proxy, and clients that look at what reaches them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from coordinator.address import Address
from edgefed.chaos.faults import (
    HALF_OPEN,
    NO_FAULTS,
    REFUSED,
    RESET,
    STALLED,
    Faults,
    Toxics,
    both,
    first,
    sometimes,
)
from edgefed.chaos.proxy import FaultProxy

PATIENCE_S = 10.0


@dataclass
class Server:
    """Keeps what it received on each connection, sends `answer` at once, and notes how each connection ended."""

    address: Address
    answer: bytes = b""
    received: list[bytearray] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)
    greetings: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, kept = len(self.received), bytearray()
        self.received.append(kept)
        writer.write(self.answer)
        try:
            while data := await reader.read(65_536):
                if not kept:
                    self.greetings.append(data)
                kept += data
            self.ended[number] = "close"
        except OSError:
            self.ended[number] = "reset"
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        served = Server(Address(*bound.getsockname()))
        listener = await asyncio.start_server(served.serve, sock=bound)
        yield served
        listener.close()
    await until(lambda: len(served.ended) == len(served.received))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@dataclass
class Client:
    """A connection through the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> tuple[bytes, str]:
        """All that still arrives, and how it ended."""
        got = bytearray()
        try:
            while data := await asyncio.wait_for(self.reader.read(65_536), PATIENCE_S):
                got += data
        except OSError:
            return bytes(got), "reset"
        return bytes(got), "close"

    async def is_silent(self) -> bool:
        """Whether nothing arrives for a while."""
        try:
            await asyncio.wait_for(self.reader.read(1), 0.1)
        except TimeoutError:
            return True
        return False


@dataclass
class Clients:
    opened: list[Client] = field(default_factory=list)

    async def connect(self, proxy: FaultProxy, data: bytes = b"") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
        self.opened.append(client)
        client.writer.write(data)
        return client


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    made = Clients()
    yield made
    for client in made.opened:
        client.writer.transport.abort()
    await asyncio.sleep(0)


async def test_bytes_pass_unchanged_when_there_are_no_faults(server: Server, clients: Clients) -> None:
    server.answer = bytes(range(256)) * 8192
    async with FaultProxy(server.address) as proxy:
        client = await clients.connect(proxy, server.answer)
        client.writer.write_eof()
        assert await client.rest() == (server.answer, "close")
        await until(lambda: server.ended == {0: "close"})
        assert server.received == [server.answer]
        await until(lambda: proxy.counts.open == 0)
    assert (proxy.counts.connections, proxy.counts.injected) == (1, {})
    assert proxy.counts.bytes_up == proxy.counts.bytes_down == len(server.answer)


async def test_latency_delays_each_direction_but_not_throughput(server: Server, clients: Clients) -> None:
    server.answer = bytes(8_000_000)  # a hundred reads: seconds, if each were delayed
    faults = Faults(up=Toxics(latency_s=0.3), down=Toxics(latency_s=0.1, jitter_s=0.1))
    async with FaultProxy(server.address, faults) as proxy:
        began = time.monotonic()
        client = await clients.connect(proxy, b"hello")
        await client.reader.readexactly(8_000_000)
        assert 0.1 <= time.monotonic() - began < 5
        await until(lambda: server.received == [b"hello"])
        assert time.monotonic() - began >= 0.3
    assert proxy.counts.injected == {"latency": 1}


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_throttle_bounds_the_bandwidth(server: Server, clients: Clients, direction: str) -> None:
    payload = bytes(100_000)
    server.answer = payload if direction == "down" else b""
    async with FaultProxy(server.address, Faults(**{direction: Toxics(bytes_per_s=400_000)})) as proxy:
        began = time.monotonic()
        client = await clients.connect(proxy, payload if direction == "up" else b"")
        if direction == "down":
            await client.reader.readexactly(len(payload))
        else:
            await until(lambda: sum(map(len, server.received)) == len(payload))
        assert 0.2 <= time.monotonic() - began < 5
    assert proxy.counts.injected == {"throttle": 1}


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_one_bit_is_flipped_at_its_offset(server: Server, clients: Clients, direction: str) -> None:
    payload, damaged = b"abcdefgh", b"abcdefg" + bytes([ord("h") ^ 1])
    server.answer = payload
    async with FaultProxy(server.address, Faults(**{direction: Toxics(flip_bit_at=7)})) as proxy:
        client = await clients.connect(proxy, payload)
        assert await client.reader.readexactly(8) == (damaged if direction == "down" else payload)
        await until(lambda: server.received == [damaged if direction == "up" else payload])
    assert proxy.counts.injected == {"flip": 1}


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("kind", ["close", "reset"])
async def test_connection_ends_at_both_sides_after_the_limit(
    server: Server, clients: Clients, direction: str, kind: str
) -> None:
    payload = bytes(range(200)) * 500
    server.answer = payload if direction == "down" else b""
    toxics = Toxics(limit_bytes=30_000, at_limit=kind)  # type: ignore[arg-type]
    async with FaultProxy(server.address, Faults(**{direction: toxics})) as proxy:
        client = await clients.connect(proxy, payload if direction == "up" else b"")
        got, ended = await client.rest()
        await until(lambda: server.ended != {})
        reached = got if direction == "down" else bytes(server.received[0])
        assert reached == payload[:30_000]
        assert kind in (ended, server.ended[0])
        await until(lambda: proxy.counts.open == 0)
    assert proxy.counts.injected == {kind: 1}


async def test_stall_loses_nothing_when_it_is_lifted(server: Server, clients: Clients) -> None:
    server.answer = b"answer"
    async with FaultProxy(server.address, STALLED) as proxy:
        client = await clients.connect(proxy, b"question")
        assert await client.is_silent()
        assert server.received == [b""]
        proxy.set(NO_FAULTS)
        assert await client.reader.readexactly(6) == b"answer"
        await until(lambda: server.received == [b"question"])
    assert proxy.counts.injected == {"stall": 1}


async def test_stalled_proxy_makes_a_sender_wait(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address, STALLED) as proxy:
        client = await clients.connect(proxy)
        with pytest.raises(TimeoutError):
            for _ in range(64):
                client.writer.write(bytes(1 << 20))
                await asyncio.wait_for(client.writer.drain(), 0.3)
        client.writer.transport.abort()


async def test_half_open_connection_stays_dead_and_hides_the_clients_end(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address) as proxy:
        client = await clients.connect(proxy, b"before")
        await until(lambda: server.received == [b"before"])
        proxy.set(HALF_OPEN)
        client.writer.write(b"lost")
        assert await client.is_silent()
        proxy.set(NO_FAULTS)
        client.writer.write(b"lost too")
        client.writer.close()
        assert await client.is_silent() is False, "the client's own end"
        await asyncio.sleep(0.1)
        assert server.received == [b"before"] and server.ended == {}
    assert proxy.counts.injected == {"blackhole": 1}


async def test_only_one_direction_is_swallowed_when_only_one_is_faulty(server: Server, clients: Clients) -> None:
    server.answer = b"answer"
    async with FaultProxy(server.address, Faults(up=HALF_OPEN.up)) as proxy:
        client = await clients.connect(proxy, b"lost")
        assert await client.reader.readexactly(6) == b"answer"
        assert server.received == [b""]


async def test_running_connections_are_reset_when_that_is_set(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address) as proxy:
        client = await clients.connect(proxy, b"idle")
        await until(lambda: server.received == [b"idle"])
        proxy.set(RESET)
        assert await client.rest() == (b"", "reset")
        await until(lambda: server.ended == {0: "reset"})


async def test_reset_of_a_peer_travels_on(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address) as proxy:
        client = await clients.connect(proxy, b"x")
        await until(lambda: server.received == [b"x"])
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.writer.transport.abort()
        await until(lambda: server.ended == {0: "reset"})


async def test_refused_client_is_reset_and_the_server_hears_nothing(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address, REFUSED) as proxy:
        client = await clients.connect(proxy)
        assert await client.rest() == (b"", "reset")
    assert (server.received, proxy.counts.injected) == ([], {"refuse": 1})


async def test_client_is_reset_when_the_server_is_away(clients: Clients) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Address(*free.getsockname())
        async with FaultProxy(nobody) as proxy:
            client = await clients.connect(proxy)
            assert await client.rest() == (b"", "reset")
        assert proxy.counts.injected == {"unreachable": 1}


async def test_later_connections_overtake_when_the_first_is_held(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address, first(1, Faults(overtaken_by=2))) as proxy:
        for name in (b"first", b"second", b"third"):
            await clients.connect(proxy, name)
            await asyncio.sleep(0.05)
        await until(lambda: len(server.greetings) == 3)
        assert server.greetings == [b"second", b"third", b"first"]
    assert proxy.counts.injected == {"overtaken": 1}


async def test_held_connection_is_released_when_the_faults_are_lifted(server: Server, clients: Clients) -> None:
    async with FaultProxy(server.address, Faults(overtaken_by=1)) as proxy:
        await clients.connect(proxy, b"only")
        await asyncio.sleep(0.05)
        assert server.greetings == []
        proxy.set(NO_FAULTS)
        await until(lambda: server.greetings == [b"only"])


async def test_proxy_leaves_no_task_when_it_ends_under_load(server: Server, clients: Clients) -> None:
    before = asyncio.all_tasks()
    slow = both(Toxics(latency_s=5, bytes_per_s=10))
    async with FaultProxy(server.address, sometimes(0.5, slow, seed=3, otherwise=STALLED)) as proxy:
        for _ in range(20):
            await clients.connect(proxy, bytes(50_000))
        await until(lambda: len(server.received) == 20)
    await until(lambda: len(server.ended) == 20)
    assert asyncio.all_tasks() == before
