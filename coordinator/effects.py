"""What a job does with artifacts: looks into an update, and makes a round's updates one global model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coordinator import events as ev
from coordinator.aggregation import AggregationFailed, AggregationWorker, Received
from coordinator.artifact_store import ArtifactStore
from coordinator.changes import Changes
from coordinator.event_log import EventLog
from coordinator.rounds import JobState, Round, discount
from models.method import RejectedUpdate
from protos.heap import give_back_heap


@dataclass(frozen=True)
class Surroundings:
    """What all jobs of a coordinator share.

    Attributes:
        log: where events are written.
        store: where artifacts lie.
        worker: looks into updates and aggregates them.
        changes: told of every event; sites wait for work on it.
        progress: told of heartbeats as well; only watchers wait on it, for heartbeats are many.
        scratch: a folder on the store's file system.
        on_end: called when a job has ended.
        moved: site -> its last progress in any job, on the event loop's clock.
    """

    log: EventLog
    store: ArtifactStore
    worker: AggregationWorker
    changes: Changes
    progress: Changes
    scratch: Path
    on_end: Callable[[], None]
    moved: dict[str, float] = field(default_factory=dict)


async def fault_of(state: JobState, all_: Surroundings, number: int, digest: str, weight: float) -> str:
    """Why a committed artifact cannot be an update of round `number`; an empty text where it can."""
    spec, store = state.spec, all_.store
    if not 0 < weight < float("inf"):
        return f"its weight is {weight:g}; a positive number is needed"
    if (media_type := store.manifest(digest).media_type) != spec.the_method.media_type:
        return f"it is of the type {media_type}; the method {spec.method} takes {spec.the_method.media_type}"
    try:
        await all_.worker.check(spec, state.declaration or {}, _global_before(state, all_, number), store.path(digest))
    except (RejectedUpdate, AggregationFailed) as error:
        return str(error)
    return ""


async def aggregated(state: JobState, all_: Surroundings, number: int) -> ev.Event:
    """The outcome of round `number`: its published global model, or the end of a job whose method fails on it.

    Raises:
        StateError: the disk is full; nothing has changed.
    """
    spec, this = state.spec, state.rounds[number - 1]
    give_back_heap()  # the uploads are in: leave the memory to the worker
    out = all_.scratch / f"{state.job}.global"
    before = _global_before(state, all_, number)
    try:
        told = await all_.worker.aggregate(spec, number, before, _received(state, all_.store, this), out)
    except AggregationFailed as error:
        reason = f"the aggregation of round {number} failed: {error}"
        return ev.JobEnded(at=time.time(), outcome="failed", reason=reason)
    manifest = await all_.store.adopt(out, spec.the_method.media_type)
    return ev.ModelPublished(
        at=time.time(), round=number, digest=manifest.digest, size=manifest.size, remarks=dict(told.remarks),
        metrics=dict(told.metrics),
    )  # fmt: skip


def _received(state: JobState, store: ArtifactStore, this: Round) -> list[Received]:
    received = [
        Received(site, this.leases[site].weight, 1.0, store.path(this.leases[site].digest)) for site in this.committed
    ]
    for site, late in this.late.items():
        received.append(Received(site, late.weight, discount(state, late, this.number), store.path(late.digest)))
    return sorted(received, key=lambda update: update.site)


def _global_before(state: JobState, all_: Surroundings, number: int) -> Path | None:
    digest = state.rounds[number - 2].global_digest if number > 1 else ""
    return all_.store.path(digest) if digest else None
