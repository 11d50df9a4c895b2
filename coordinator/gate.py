"""How many chunks the coordinator holds in memory at once, whatever the number of sites."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from grpc import aio

_CHUNKS = 4
_SLOW_S = 0.2  # who takes longer has a slow line: its chunk comes in small pieces, and must not keep others waiting
_CALLS = frozenset({"/edgefed.v1.Artifacts/PutChunk", "/edgefed.v1.Artifacts/GetChunk"})


class Gate(aio.ServerInterceptor):
    """Lets calls with chunks in a few at a time, before their message has been read.

    What waits outside is held back by HTTP/2's flow control, at the site and not here.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_CHUNKS)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Waits for its turn where the call carries a chunk."""
        handler = await continuation(details)
        if handler is None or details.method not in _CALLS:
            return handler
        await self._free.acquire()
        return self._held(handler)

    def _held(self, handler: Any) -> Any:
        left = False

        def leave(_: Any = None) -> None:
            nonlocal left
            if not left:
                left = True
                self._free.release()

        # Also where the call is cut before there is anything that could say that it is done.
        asyncio.get_running_loop().call_later(_SLOW_S, leave)
        answer = handler.unary_unary

        async def call(request: Any, context: Any) -> Any:
            context.add_done_callback(leave)
            return await answer(request, context)

        return handler._replace(unary_unary=call)
