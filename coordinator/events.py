"""The events of a job. Their log is the job's only record: its state is a fold over it, and so is the audit trail.

Every event carries `at`, seconds since the epoch at the coordinator. Reasons are sentences for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

Outcome = Literal["finished", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """What all events have in common."""

    at: float


@dataclass(frozen=True, kw_only=True)
class JobSubmitted(Event):
    """The first event of every job; `sites` are the invited ones, in sorted order."""

    spec_json: str
    sites: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SiteJoined(Event):
    """A site can do the job; the first declaration becomes the job's."""

    site: str
    declaration: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SiteRefused(Event):
    """A site stays out: it declined, or its declaration differs from the job's."""

    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SiteInvited(Event):
    """A site is asked into a running job, or asked back."""

    site: str


@dataclass(frozen=True, kw_only=True)
class SiteLeft(Event):
    """A site has no part in the job any more; with `discard` neither has what the open round has of it."""

    site: str
    reason: str
    discard: bool = False


@dataclass(frozen=True, kw_only=True)
class RoundOpened(Event):
    """Round `round` (from 1) waits for the updates of `sites`."""

    round: int
    sites: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LeaseGranted(Event):
    """A site works on a round. The same epoch again means that it was heard of again; a new one fences the old."""

    round: int
    site: str
    epoch: int


@dataclass(frozen=True, kw_only=True)
class UpdateCommitted(Event):
    """A site's update is on disk and checked; `size` in bytes."""

    round: int
    site: str
    epoch: int
    digest: str
    weight: float
    size: int


@dataclass(frozen=True, kw_only=True)
class UpdateRejected(Event):
    """A site's update cannot be used; the site is out of this round."""

    round: int
    site: str
    epoch: int
    digest: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class LeaseLost(Event):
    """The round no longer waits for a site; with `may_return` its update still counts while the round is open."""

    round: int
    site: str
    epoch: int
    reason: str
    may_return: bool


@dataclass(frozen=True, kw_only=True)
class LateUpdateKept(Event):
    """An update of round `round`, which went on without it, is on disk and checked; the next aggregation takes it."""

    round: int
    site: str
    epoch: int
    digest: str
    weight: float
    size: int


@dataclass(frozen=True, kw_only=True)
class LateUpdateRejected(Event):
    """An update of round `round`, which went on without it, cannot be used."""

    round: int
    site: str
    epoch: int
    digest: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RoundShort(Event):
    """A round waits for its quorum; the sites in `again` may try once more."""

    round: int
    reason: str
    again: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AggregationStarted(Event):
    """No update is taken from here on; the committed ones, and late ones of other sites, are being aggregated."""

    round: int


@dataclass(frozen=True, kw_only=True)
class ModelPublished(Event):
    """The round's global artifact is in the store; `size` in bytes, `remarks` and `metrics` as the method made them."""

    round: int
    digest: str
    size: int
    remarks: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RoundClosed(Event):
    """The end of a round; `missing` says for each site without an update why."""

    round: int
    reason: str
    missing: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ModelInstalled(Event):
    """A site runs the job's final model."""

    site: str


@dataclass(frozen=True, kw_only=True)
class JobEnded(Event):
    """The end of the job, but for installations."""

    outcome: Outcome
    reason: str


_ADAPTERS: dict[str, TypeAdapter[Event]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        JobSubmitted, SiteInvited, SiteJoined, SiteRefused, SiteLeft, RoundOpened, LeaseGranted, UpdateCommitted,
        UpdateRejected, LeaseLost, LateUpdateKept, LateUpdateRejected, RoundShort, AggregationStarted, ModelPublished,
        RoundClosed, ModelInstalled, JobEnded,
    )
}  # fmt: skip


def event_to_json(event: Event) -> tuple[str, str]:
    """The name of an event's kind, and its fields as JSON."""
    kind = type(event).__name__
    return kind, _ADAPTERS[kind].dump_json(event).decode()


def event_from_json(kind: str, body: str) -> Event:
    """The inverse of `event_to_json`. Raises `KeyError` or `ValueError` on a log of another version."""
    return _ADAPTERS[kind].validate_json(body)
