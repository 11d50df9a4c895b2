"""What a demo does with the processes that it starts."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from edgefed.local_federation import LocalFederation

# One thread for each training process: the machine may have two cores, and the sites share them.
ENVIRONMENT: Final[Mapping[str, str]] = {"EDGEFED_THREADS": "1", "OMP_NUM_THREADS": "1"}


@contextmanager
def peak_memory(federation: LocalFederation) -> Iterator[list[int]]:
    """A list whose one number grows to the most bytes that all processes have held together."""
    peak, stop = [0], threading.Event()

    def sample() -> None:
        while not stop.wait(0.5):
            peak[0] = max(peak[0], federation.memory_bytes())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield peak
    finally:
        stop.set()
        sampler.join()


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """A demo that is ended by its supervisor takes its processes with it, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave_interrupts_to_the_parent() -> None:
    """Of a worker: Ctrl-C reaches every process of the terminal, and the parent ends its workers on its way out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
