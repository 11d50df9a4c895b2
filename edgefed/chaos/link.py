"""One proxied connection: a leg to the client, a leg to the server, and a pipe in each direction."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Literal

from coordinator.address import Address
from edgefed.chaos.faults import Faults
from edgefed.chaos.pipe import Pipe

_LASTING = {"latency", "throttle"}  # of a line; other faults strike anew when they are set anew
_NO_LINGER = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN


@dataclass(frozen=True)
class Observer:
    """Whom a link tells what it does.

    Attributes:
        injected: of a kind of fault that has struck.
        sent_up: how many bytes were forwarded to the server.
        sent_down: how many bytes were forwarded to the client.
        established: that the link of this number has reached the server.
    """

    injected: Callable[[str], None]
    sent_up: Callable[[int], None]
    sent_down: Callable[[int], None]
    established: Callable[[int], None]


class Link:
    """A connection under faults that may change meanwhile.

    Args:
        number: of the connection, from 1.
        client: the leg to the client.
        faults: to start with.
        seed: of the jitter, with the number.
        observer: is told what happens.
    """

    def __init__(
        self,
        number: int,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        faults: Faults,
        *,
        seed: int,
        observer: Observer,
    ) -> None:
        self.number, self._client, self._faults = number, client, faults
        self._seed, self._observer = seed, observer
        self._legs: list[asyncio.StreamWriter] = []
        self._take(client[1])
        self._pipes: tuple[Pipe, Pipe] | None = None
        self._injected: set[str] = set()
        self._passed_by = 0
        self._may_connect = asyncio.Event()

    @property
    def works(self) -> bool:
        """Bytes have passed both ways, and none was swallowed."""
        return self._pipes is not None and all(pipe.works for pipe in self._pipes)

    def apply(self, faults: Faults) -> None:
        """Sets other faults."""
        self._faults = faults
        self._injected &= _LASTING
        self._decide_to_connect()
        if self._pipes is not None:
            for pipe, toxics in zip(self._pipes, (faults.up, faults.down), strict=True):
                pipe.apply(toxics)

    def passed_by(self, number: int) -> None:
        """Another link has reached the server; a later one has thereby overtaken this one."""
        if number > self.number:
            self._passed_by += 1
            self._decide_to_connect()

    async def run(self, upstream: Address) -> None:
        """Proxies until both directions have ended, or a leg was reset."""
        try:
            await self._wait_for_others()
            try:
                server = await asyncio.open_connection(upstream.host, upstream.port)
            except OSError:
                self._inject("unreachable")
                raise
            self._take(server[1])
            self._observer.established(self.number)
            await self._run_pipes(server)
        except* OSError:
            self._end("reset")  # a reset travels on to the other leg
        finally:
            # Not closed but dropped: a peer that reads nothing would keep a closing leg for ever.
            for leg in self._legs:
                leg.transport.abort()

    def _take(self, leg: asyncio.StreamWriter) -> None:
        leg.transport.set_write_buffer_limits(0)  # what is drained is out of this process, and an abort cannot drop it
        self._legs.append(leg)

    async def _wait_for_others(self) -> None:
        self._decide_to_connect()
        if not self._may_connect.is_set():
            self._inject("overtaken")
        await self._may_connect.wait()

    def _decide_to_connect(self) -> None:
        if self._passed_by >= self._faults.overtaken_by:
            self._may_connect.set()

    async def _run_pipes(self, server: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        told = self._observer
        random = (Random(f"{self._seed}/{self.number}/{way}") for way in ("up", "down"))
        pipe_of = partial(Pipe, injected=self._inject, end=self._end)
        up = pipe_of(self._client[0], server[1], random=next(random), forwarded=told.sent_up)
        down = pipe_of(server[0], self._client[1], random=next(random), forwarded=told.sent_down)
        self._pipes = up, down
        self.apply(self._faults)
        async with asyncio.TaskGroup() as tasks:
            for pipe in self._pipes:
                tasks.create_task(pipe.run())

    def _inject(self, kind: str) -> None:
        # Once for the connection, though both directions may have the fault.
        if kind not in self._injected:
            self._injected.add(kind)
            self._observer.injected(kind)

    def _end(self, how: Literal["close", "reset"]) -> None:
        for leg in self._legs:
            if how == "reset":
                reset(leg)
            else:
                leg.close()


def reset(leg: asyncio.StreamWriter) -> None:
    """Ends a connection with RST."""
    sock = leg.get_extra_info("socket")
    if sock.fileno() >= 0:  # else it has ended already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    leg.transport.abort()
