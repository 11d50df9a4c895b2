"""A fault proxy for code that is not asynchronous: it runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from coordinator.address import Address
from edgefed.chaos.faults import NO_FAULTS, Faults, Schedule
from edgefed.chaos.proxy import LOOPBACK, Counts, FaultProxy


class ThreadedProxy:
    """A `FaultProxy` in a thread; use it in `with`. Its arguments and names are those of `FaultProxy`."""

    def __init__(
        self, upstream: Address, faults: Faults | Schedule = NO_FAULTS, *, listen: Address = LOOPBACK, seed: int = 0
    ) -> None:
        self._proxy = FaultProxy(upstream, faults, listen=listen, seed=seed)
        self._listening: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fault-proxy")

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._proxy.port

    @property
    def address(self) -> Address:
        """Where it listens, with the port that it took."""
        return self._proxy.address

    @property
    def counts(self) -> Counts:
        """A snapshot."""
        return asyncio.run_coroutine_threadsafe(self._read_counts(), self._loop).result()

    def set(self, faults: Faults | Schedule) -> None:
        """Sets other faults, for connections to come and for those that there are; returns when they hold."""
        asyncio.run_coroutine_threadsafe(self._set(faults), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self._proxy:
                self._listening.set_result(None)
                await self._ended.wait()
        except BaseException as error:
            if self._listening.done():
                raise
            self._listening.set_exception(error)

    async def _read_counts(self) -> Counts:
        return self._proxy.counts

    async def _set(self, faults: Faults | Schedule) -> None:
        self._proxy.set(faults)
