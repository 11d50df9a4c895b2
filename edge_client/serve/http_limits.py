"""What one HTTP client may take of the server: bytes, seconds and a place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_REQUESTS = 16  # whose bodies are whole
BODY_BYTES = 64 << 20
BODIES_BYTES = MOST_REQUESTS * BODY_BYTES
BODY_S = 10.0
HEADERS_S = 5.0


class Places:
    """What all requests take together; one too many is told when to come again.

    A request has a place from the moment its body is whole: who sends slowly keeps nobody out.
    """

    def __init__(self) -> None:
        self._whole, self._bytes = 0, 0

    @contextmanager
    def one(self, receive: Receive) -> Iterator[Receive]:
        """`receive` within the limits: a body of at most `BODY_BYTES`, here within `BODY_S`.

        While the body is read `HTTPException` is raised: 408 where it takes too long, 413 where it is too large, 503
        where there is no place.
        """
        due, taken, whole = asyncio.get_running_loop().time() + BODY_S, 0, False

        async def bounded() -> Message:
            nonlocal taken, whole
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {BODY_S:g} seconds", _CLOSE) from None
            size = len(message.get("body", b""))
            taken, self._bytes = taken + size, self._bytes + size
            if taken > BODY_BYTES:
                raise HTTPException(413, f"a body has at most {BODY_BYTES >> 20} MiB", _CLOSE)
            if not message.get("more_body", False) and not whole:
                if self._whole >= MOST_REQUESTS:
                    raise come_again()
                whole, self._whole = True, self._whole + 1
            if self._bytes > BODIES_BYTES:
                raise come_again()
            return message

        try:
            yield bounded
        finally:
            self._bytes -= taken
            self._whole -= whole


def come_again() -> HTTPException:
    """503 with the seconds after which there may be room."""
    return HTTPException(503, "too many images are waiting; come again", {"Retry-After": "1"})


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
