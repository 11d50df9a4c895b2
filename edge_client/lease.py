"""A lease on a round's work: kept by heartbeats that carry progress, and given up when the coordinator says so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from protos.errors import Unavailable
from protos.v1 import work_pb2

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0

Result = TypeVar("Result")


class LeaseLost(Exception):
    """The coordinator no longer waits for this work; the message says why."""


class Progress:
    """How far the work on a round is; the heartbeat reads what the work writes.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.stage, self.step, self.steps, self.bytes_done = "", 0, 0, 0
        self._stage_began = clock()
        self._first_step = 0

    def report(self, stage: str, step: int, steps: int) -> None:
        """Takes progress; `steps` is 0 where it is unknown."""
        if stage != self.stage:
            self._stage_began, self._first_step = self._clock(), step
        self.stage, self.step, self.steps = stage, step, steps

    def moved(self, count: int) -> None:
        """Takes `count` more bytes sent or received."""
        self.bytes_done += count

    @property
    def eta_s(self) -> float:
        """Seconds until the stage's last step at its pace so far, 0 where that is unknown."""
        done = self.step - self._first_step
        if done <= 0 or self.steps <= self.step:
            return 0.0
        return (self.steps - self.step) * (self._clock() - self._stage_began) / done


async def hold_lease(
    work: Coroutine[None, None, Result], beat: Callable[[], Awaitable[work_pb2.HeartbeatReply]]
) -> Result:
    """Does the work while heartbeats say how far it is.

    A coordinator that is away does not stop the work: what is finished meanwhile goes through the outbox.

    Raises:
        LeaseLost: the work was stopped, since nobody waits for it any more.
    """
    task = asyncio.ensure_future(work)
    away = False
    try:
        while not (await asyncio.wait({task}, timeout=HEARTBEAT_S))[0]:
            try:
                reply = await beat()
            except Unavailable as error:
                if not away:
                    log.warning("%s; the work goes on", error)
                away = True
                continue
            away = False
            if not reply.lease_valid:
                raise LeaseLost(reply.reason)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
