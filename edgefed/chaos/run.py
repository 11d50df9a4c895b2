"""A run: the proxy between the sites and the coordinator, a profile's mishaps, and what came of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from coordinator.address import Address
from edgefed.chaos.conductor import Conductor, Outcome, Trial
from edgefed.chaos.job_watch import JobWatch
from edgefed.chaos.narrator import Narrator
from edgefed.chaos.proxy import FaultProxy, reason_of
from protos.errors import Unavailable

_KNOCK_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run(trial: Trial, watch: JobWatch | None, narrator: Narrator) -> Outcome:
    """Runs until the trial is over, or SIGINT or SIGTERM asks for what there is.

    Raises:
        Unavailable: the port is taken, no site has connected, or there is no coordinator at the start.
        StateError: the coordinator's state folder cannot be used.
    """
    await _knock(trial.coordinator)
    if watch is not None:
        await asyncio.to_thread(watch.running)
    async with FaultProxy(trial.coordinator, trial.profile.line, listen=trial.listen, seed=trial.seed) as proxy:
        conductor = Conductor(trial, proxy, watch, narrator)
        with _set_by_signals(conductor.stop):
            return await conductor.conduct()


async def _knock(coordinator: Address) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(coordinator.host, coordinator.port), _KNOCK_S)
    except OSError as error:
        raise Unavailable(f"nobody listens at {coordinator}: {reason_of(error)}; is that --coordinator?") from error
    writer.close()


@contextmanager
def _set_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
