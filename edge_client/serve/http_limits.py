"""What one HTTP client may take of the server: bytes, seconds and a place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_REQUESTS = 16  # of 64 MiB each: what their bodies may take in all
BODY_BYTES = 64 << 20
BODY_S = 10.0
HEADERS_S = 5.0


class Places:
    """How many requests are inside; one too many is told when to come again."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for one request. Raises `HTTPException` 503 where there is none."""
        if self._taken >= MOST_REQUESTS:
            raise come_again()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


def come_again() -> HTTPException:
    """503 with the seconds after which there may be room."""
    return HTTPException(503, "too many images are waiting; come again", {"Retry-After": "1"})


def limited(receive: Receive) -> Receive:
    """A body of at most `BODY_BYTES`, here within `BODY_S`.

    Raises:
        HTTPException: while it is read: 408 where it takes too long, 413 where it is too large.
    """
    due, taken = asyncio.get_running_loop().time() + BODY_S, 0

    async def bounded() -> Message:
        nonlocal taken
        try:
            async with asyncio.timeout_at(due):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_S:g} seconds", _CLOSE) from None
        taken += len(message.get("body", b""))
        if taken > BODY_BYTES:
            raise HTTPException(413, f"a body has at most {BODY_BYTES >> 20} MiB", _CLOSE)
        return message

    return bounded


class PromptClients(H11Protocol):
    """Closes a connection on which no whole request has begun for `HEADERS_S`; uvicorn itself would wait for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._last: object = None
        self._look = self.loop.call_later(HEADERS_S, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._look.cancel()
        super().connection_lost(exc)

    def _close_if_idle(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.cycle is self._last:
            self.transport.close()
            return
        self._last = self.cycle
        self._look = self.loop.call_later(HEADERS_S, self._close_if_idle)


_CLOSE = {"Connection": "close"}  # what is left of the body is not waited for
