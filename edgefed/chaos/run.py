"""A run: the proxy between the sites and the coordinator, a profile's mishaps, and what came of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from edgefed.chaos.conductor import Conductor, Outcome, Trial
from edgefed.chaos.job_watch import JobWatch
from edgefed.chaos.narrator import Narrator
from edgefed.chaos.proxy import FaultProxy

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def run(trial: Trial, watch: JobWatch | None, narrator: Narrator) -> Outcome:
    """Runs until the trial is over, or SIGINT or SIGTERM asks for what there is.

    Raises:
        Unavailable: the port is taken, no site has connected, or the coordinator does not answer at the start.
        StateError: the coordinator's state folder cannot be used.
    """
    if watch is not None:
        await asyncio.to_thread(watch.running)
    async with FaultProxy(trial.coordinator, trial.profile.line, listen=trial.listen, seed=trial.seed) as proxy:
        conductor = Conductor(trial, proxy, watch, narrator)
        with _set_by_signals(conductor.stop):
            return await conductor.conduct()


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
