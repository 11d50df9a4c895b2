"""One direction of a proxied connection: reads, delays, damages, forwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Literal

from edgefed.chaos.faults import Toxics

READ_BYTES = 16 << 10
_QUEUE_READS = 64  # 1 MiB may be under way in a direction; more would not be back-pressure
_SLICE_S = 0.05  # a throttled stream flows in steps of at most this long


class Pipe:
    """Forwards from a reader to a writer under toxics that may change meanwhile.

    Args:
        reader: where bytes come from.
        writer: where they go.
        random: draws the jitter.
        forwarded: told how many bytes were forwarded.
        injected: told of every fault, by its kind.
        end: ends the whole connection, by closing or resetting both legs.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        random: Random,
        forwarded: Callable[[int], None],
        injected: Callable[[str], None],
        end: Callable[[Literal["close", "reset"]], None],
    ) -> None:
        self._reader, self._writer, self._random = reader, writer, random
        self._forwarded, self._injected, self._end = forwarded, injected, end
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUE_READS)
        self._changed = asyncio.Event()
        self._toxics, self._passed = Toxics(), 0
        self._swallowing = self._carried = False
        self._reset: OSError | None = None
        self._free_at = 0.0

    def apply(self, toxics: Toxics) -> None:
        """Sets other faults; their offsets count from here. What was swallowed stays swallowed."""
        self._toxics, self._passed = toxics, 0
        if toxics.latency_s or toxics.jitter_s:
            self._injected("latency")
        if toxics.bytes_per_s is not None:
            self._injected("throttle")
        self._changed.set()
        self._changed = asyncio.Event()
        self._meet_limit()

    @property
    def works(self) -> bool:
        """It has carried bytes and has lost none."""
        return self._carried and not self._swallowing

    async def run(self) -> None:
        """Forwards until the end of the stream has been forwarded or swallowed.

        Raises:
            OSError: a leg was reset by its peer. That comes when the bytes before it have gone, as an end does.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._write())

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        due = 0.0
        while True:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as error:
                self._reset, data = error, b""
            due = max(due, clock() + self._toxics.latency_s + self._random.uniform(0, self._toxics.jitter_s))
            await self._queue.put((due, data))
            if not data:
                return

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await self._queue.get()
            if due > (now := clock()):
                await asyncio.sleep(due - now)
            while self._at_limit:  # only a stall comes back from its limit
                await self._changed.wait()
            if not data:
                return self._forward_end()
            await self._forward(data)

    async def _forward(self, data: bytes) -> None:
        while data and not self._swallowing:
            room = self._room(len(data))
            part, data = self._damaged(data[:room]), data[room:]
            self._writer.write(part)
            await self._writer.drain()
            self._passed += len(part)
            self._carried = True
            self._forwarded(len(part))
            self._meet_limit()
            await self._keep_bandwidth(len(part))
            while self._at_limit:
                await self._changed.wait()

    def _forward_end(self) -> None:
        if self._swallowing:
            return
        if self._reset is not None:
            raise self._reset
        self._writer.write_eof()

    def _room(self, size: int) -> int:
        toxics = self._toxics
        if toxics.limit_bytes is not None:
            size = min(size, toxics.limit_bytes - self._passed)
        if toxics.bytes_per_s is not None:
            size = min(size, max(1, int(toxics.bytes_per_s * _SLICE_S)))
        return size

    def _damaged(self, part: bytes) -> bytes:
        at = self._toxics.flip_bit_at
        if at is None or not self._passed <= at < self._passed + len(part):
            return part
        self._injected("flip")
        index = at - self._passed
        return part[:index] + bytes([part[index] ^ 1]) + part[index + 1 :]

    async def _keep_bandwidth(self, size: int) -> None:
        rate = self._toxics.bytes_per_s
        if rate is None:
            return
        now = asyncio.get_running_loop().time()
        self._free_at = max(now, self._free_at) + size / rate
        await asyncio.sleep(self._free_at - now)

    @property
    def _at_limit(self) -> bool:
        limit = self._toxics.limit_bytes
        return limit is not None and self._passed >= limit and not self._swallowing

    def _meet_limit(self) -> None:
        if not self._at_limit:
            return
        kind = self._toxics.at_limit
        self._injected(kind)
        self._swallowing = kind != "stall"
        if kind == "close" or kind == "reset":
            self._end(kind)
