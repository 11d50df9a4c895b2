"""When the agent does what: decisions of values alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from edge_client.outbox import Parcel
from protos.v1 import work_pb2

RENEW_AT = 2 / 3  # of a certificate's life

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_FIRST_ASIDE_S = 5.0
_LONGEST_ASIDE_S = 600.0


def pause_s(attempt: int, jitter: float) -> float:
    """How long to wait before trying again.

    Args:
        attempt: failures in a row, at least 1; the wait doubles with each up to half a minute.
        jitter: in [0, 1), so that sites which lost the same coordinator do not come back as one.

    >>> [pause_s(attempt, 0.0) for attempt in (1, 2, 3)], pause_s(1000, 0.999) < 30
    ([0.125, 0.25, 0.5], True)
    """
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 16))
    return longest * (1 + jitter) / 2


def seconds_to_renewal(validity: tuple[datetime, datetime], now: datetime) -> float:
    """Seconds until two thirds of a certificate's life have passed; 0 or less when it is time."""
    start, end = validity
    return (start + (end - start) * RENEW_AT - now).total_seconds()


@dataclass(frozen=True)
class Aside:
    """A job that failed for a reason of the site's own, such as a full disk, and will be tried again.

    Attributes:
        failures: in a row, at least 1.
        until: when it will be tried again, on the agent's monotonic clock, in seconds.
    """

    failures: int
    until: float


def set_aside(before: Aside | None, now: float) -> Aside:
    """After one more failure: for 5 s at first, then twice as long each time, up to ten minutes."""
    failures = 1 if before is None else before.failures + 1
    return Aside(failures, now + min(_LONGEST_ASIDE_S, _FIRST_ASIDE_S * 2.0 ** min(failures - 1, 16)))


def jobs_aside(aside: Mapping[str, Aside], now: float) -> set[str]:
    """The jobs that are not to be tried yet."""
    return {job for job, entry in aside.items() if now < entry.until}


def seconds_aside(aside: Mapping[str, Aside], now: float) -> float:
    """Seconds until the first of them is to be tried again; infinite where none waits."""
    return min((entry.until - now for entry in aside.values() if now < entry.until), default=float("inf"))


def is_of_round(parcel: Parcel, train: work_pb2.Train) -> bool:
    """Whether a waiting update is of the round that was just leased: it is then delivered under the new lease."""
    return (parcel.job, parcel.round) == (train.job, train.round)
