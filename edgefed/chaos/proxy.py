"""A TCP proxy that injects faults. It forwards raw bytes, so TLS passes through it untouched."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from coordinator.address import Address
from edgefed.chaos.faults import NO_FAULTS, Faults, Schedule, always
from edgefed.chaos.link import Link, Observer, reset
from protos.errors import Unavailable

LOOPBACK = Address("127.0.0.1", 0)


@dataclass(frozen=True)
class Counts:
    """What a proxy has seen and done since it started.

    Attributes:
        connections: that clients have made.
        open: those of them that are still proxied.
        working: open ones that have carried bytes both ways and have lost none.
        bytes_up: forwarded to the server.
        bytes_down: forwarded to clients.
        injected: kind of fault -> how many connections it has struck; all but "latency" and "throttle" strike anew
            when faults are set. The others are "refuse", "overtaken", "flip", those of `Toxics.at_limit`, and
            "unreachable" where the server did not answer.
    """

    connections: int
    open: int
    working: int
    bytes_up: int
    bytes_down: int
    injected: Mapping[str, int]


class FaultProxy:
    """A proxy between clients and one server; use it in `async with`.

    A connection holds at most about 2 MiB; when that is full the sender has to wait, as on a slow line.

    Args:
        upstream: the server.
        faults: of every connection, or by the connection's number.
        listen: where clients connect; port 0 takes a free one.
        seed: of the jitter.
    """

    def __init__(
        self, upstream: Address, faults: Faults | Schedule = NO_FAULTS, *, listen: Address = LOOPBACK, seed: int = 0
    ) -> None:
        self.upstream, self._listen, self._seed = upstream, listen, seed
        self._schedule = always(faults) if isinstance(faults, Faults) else faults
        self._connections = self._bytes_up = self._bytes_down = 0
        self._injected: Counter[str] = Counter()
        self._links: dict[asyncio.Task[None], Link] = {}
        self._observer = Observer(self._inject, self._count_up, self._count_down, self._established)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def address(self) -> Address:
        """Where it listens, with the port that it took."""
        return Address(self._listen.host, self.port)

    @property
    def counts(self) -> Counts:
        """A snapshot."""
        working = sum(link.works for link in self._links.values())
        return Counts(
            self._connections, len(self._links), working, self._bytes_up, self._bytes_down, dict(self._injected)
        )

    def set(self, faults: Faults | Schedule) -> None:
        """Sets other faults, for connections to come and for those that there are."""
        self._schedule = always(faults) if isinstance(faults, Faults) else faults
        for link in list(self._links.values()):
            link.apply(self._schedule(link.number))

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._accept, self._listen.host, self._listen.port)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {self._listen}: {reason_of(error)}; choose another --listen"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        links = list(self._links)
        for task in links:
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports are closed in the loop's next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        faults = self._schedule(self._connections)
        if faults.refuse:
            self._inject("refuse")
            reset(writer)
            return
        link = Link(self._connections, (reader, writer), faults, seed=self._seed, observer=self._observer)
        task = asyncio.create_task(link.run(self.upstream))
        self._links[task] = link
        task.add_done_callback(self._links.pop)

    def _inject(self, kind: str) -> None:
        self._injected[kind] += 1

    def _count_up(self, size: int) -> None:
        self._bytes_up += size

    def _count_down(self, size: int) -> None:
        self._bytes_down += size

    def _established(self, number: int) -> None:
        for link in list(self._links.values()):
            link.passed_by(number)


def reason_of(error: OSError) -> str:
    """Why a socket failed, in the system's words; asyncio wraps them up with the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or "no answer"
