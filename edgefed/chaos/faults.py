"""What can go wrong on a connection, as values. The words are those of Toxiproxy where it has one.

Up is from the client to the server, down is back. Offsets and limits count the bytes of one direction of one
connection, from its start or from when the faults were set, whichever came later.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

AtLimit = Literal["close", "reset", "stall", "blackhole"]


@dataclass(frozen=True, kw_only=True)
class Toxics:
    """The faults of one direction.

    Attributes:
        latency_s: added to every byte, in seconds; order is kept and throughput is not touched.
        jitter_s: up to so much more, drawn anew for every read.
        bytes_per_s: bandwidth; None for no bound.
        flip_bit_at: offset of a byte that arrives with its lowest bit wrong; None for none.
        limit_bytes: after so many forwarded bytes comes what `at_limit` says; None for never, 0 for at once.
        at_limit: "close" ends both legs with FIN: the receiver has a truncated stream. "reset" ends both legs with RST.
            "stall" forwards nothing until other faults are set, and loses nothing: an outage that TCP rides out.
            "blackhole" swallows everything from then on for good, ends included: what is left is half-open.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float | None = None
    flip_bit_at: int | None = None
    limit_bytes: int | None = None
    at_limit: AtLimit = "close"


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults of one connection.

    Attributes:
        up: what happens to bytes from the client.
        down: what happens to bytes from the server.
        refuse: the client is reset as soon as it connects, and the server never hears of it.
        overtaken_by: the connection to the server is made only after so many later clients have theirs.
    """

    up: Toxics = Toxics()
    down: Toxics = Toxics()
    refuse: bool = False
    overtaken_by: int = 0


Schedule = Callable[[int], Faults]
"""The faults of the n-th connection, from 1. Pure, so that a run can be repeated."""


def both(toxics: Toxics) -> Faults:
    """The same faults in both directions."""
    return Faults(up=toxics, down=toxics)


NO_FAULTS = Faults()
REFUSED = Faults(refuse=True)
RESET = both(Toxics(limit_bytes=0, at_limit="reset"))
STALLED = both(Toxics(limit_bytes=0, at_limit="stall"))
HALF_OPEN = both(Toxics(limit_bytes=0, at_limit="blackhole"))


def always(faults: Faults) -> Schedule:
    """Every connection."""
    return lambda number: faults


def first(count: int, faults: Faults, then: Faults = NO_FAULTS) -> Schedule:
    """The first `count` connections, and others for those that come after."""
    return lambda number: faults if number <= count else then


def sometimes(toxicity: float, faults: Faults, *, seed: int | str, otherwise: Faults = NO_FAULTS) -> Schedule:
    """A fraction of the connections, drawn by the seed and the connection's number.

    Args:
        toxicity: the fraction, in [0, 1].
        faults: what strikes.
        seed: the same seed strikes the same connections.
        otherwise: what the other connections get.
    """
    return lambda number: faults if random.Random(f"{seed}/{number}").random() < toxicity else otherwise
