"""Waking whoever waits for a change: long polls and watchers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """Tells all waiters at once that something has changed; they look for themselves what it was."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Wakes all waiters."""
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, look: Callable[[], T | None], timeout_s: float) -> T | None:
        """What `look` finds, now or after a change; None when the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            change = self._next  # taken before looking, so that no change falls in between
            if (found := look()) is not None:
                return found
            try:
                await asyncio.wait_for(change.wait(), end - loop.time())
            except TimeoutError:
                return None
