"""What a network does to a site: faults of its proxy in both directions, while it prepares, sends and receives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from edgefed.chaos.faults import HALF_OPEN, NO_FAULTS, REFUSED, RESET, Faults, Schedule, Toxics, always, both, first
from edgefed.chaos.proxy import Counts
from edgefed.chaos.threaded import ThreadedProxy
from tests.faults.deployment import Deployment
from tests.faults.scenarios import A
from tests.faults.trial import Disturbance, Trial

Phase = Literal["prepare", "upload", "download"]
_PHASES: tuple[Phase, ...] = ("prepare", "upload", "download")
_LOOK_S = 0.005
_MIDWAY = 3 << 19  # 1.5 MiB: in the second of an update's, or a global's, four chunks
_SLOW = both(Toxics(bytes_per_s=4e6))  # so that midway can be met
_OUTAGE_S = 3.0
_KINDS: dict[str, Toxics] = {
    "reset": Toxics(limit_bytes=0, at_limit="reset"),
    "truncated": Toxics(limit_bytes=0, at_limit="close"),
    "half-open": Toxics(limit_bytes=0, at_limit="blackhole"),
    "one bit flipped": Toxics(flip_bit_at=20),
}


_HEALTHY = always(NO_FAULTS)


@dataclass(frozen=True)
class Outage:
    """A fault that comes in a phase of the site's work.

    Attributes:
        faults: of the connections that there are then.
        later: of those that are made after.
        lasts_s: how long it is kept up; None for until the end of the job.
    """

    faults: Faults
    later: Schedule = _HEALTHY
    lasts_s: float | None = None


_STALLED = both(Toxics(limit_bytes=0, at_limit="stall"))
_OUTAGES = {
    "stalled for 3 s": Outage(_STALLED, always(_STALLED), _OUTAGE_S),
    "everything dropped for 3 s": Outage(HALF_OPEN, always(HALF_OPEN), _OUTAGE_S),
    "refused for 3 s": Outage(RESET, always(REFUSED), _OUTAGE_S),
    "reset, then a later connection first": Outage(RESET, first(1, Faults(overtaken_by=1))),
}


def network_trials() -> Iterator[Trial]:
    """Every fault of the proxy in every phase and, where it has one, every direction."""
    for phase in _PHASES:
        for kind, toxics in _KINDS.items():
            for way, faults in (("up", Faults(up=toxics)), ("down", Faults(down=toxics))):
                yield _trial(f"network, {phase}: {kind}, {way}", phase, Outage(faults))
        for what, outage in _OUTAGES.items():
            yield _trial(f"network, {phase}: {what}", phase, outage)
    yield _trial("network: 200 ms of delay, 100 of jitter", "prepare", _steady(Toxics(latency_s=0.2, jitter_s=0.1)))
    yield _trial("network: throttled to 1 MB/s", "prepare", _steady(Toxics(bytes_per_s=1e6)))


def _steady(toxics: Toxics) -> Outage:
    return Outage(both(toxics), always(both(toxics)))


def _trial(name: str, phase: Phase, outage: Outage) -> Trial:
    return Trial(name, comes_in(phase, outage), struck=A)


def comes_in(
    phase: Phase,
    outage: Outage,
    midway: int = _MIDWAY,
    line: Faults = _SLOW,
    also: Callable[[], None] = lambda: None,
) -> Disturbance:
    """The outage at site A as soon as it is in that phase.

    Args:
        phase: of the site's work.
        outage: what comes.
        midway: after how many bytes of an upload or download.
        line: what the site has until then; slow enough that midway can be met.
        also: called at the same moment.
    """

    @contextmanager
    def disturb(deployment: Deployment, job: str) -> Iterator[Callable[[], float | None]]:
        proxy, struck, over = deployment.proxies[A], [], threading.Event()
        if phase != "prepare":
            proxy.set(line)
        before = proxy.counts

        def strike() -> None:
            while not _is_in(phase, midway, before, proxy.counts):
                if over.wait(_LOOK_S):
                    return
            struck.append(time.time())
            also()
            proxy.set(_schedule(outage, proxy))
            if outage.lasts_s is not None and not over.wait(outage.lasts_s):
                proxy.set(NO_FAULTS)

        striking = threading.Thread(target=strike)
        striking.start()
        try:
            yield lambda: struck[0] if struck else None
        finally:
            over.set()
            striking.join()
            proxy.set(NO_FAULTS)

    return disturb


def _is_in(phase: Phase, midway: int, before: Counts, now: Counts) -> bool:
    match phase:
        case "prepare":
            return True
        case "upload":
            return now.bytes_up - before.bytes_up >= midway
        case "download":
            return now.bytes_down - before.bytes_down >= midway


def _schedule(outage: Outage, proxy: ThreadedProxy) -> Schedule:
    so_far = proxy.counts.connections
    return lambda number: outage.faults if number <= so_far else outage.later(number - so_far)
