"""What became of a job, read from what the processes left: the event log, the store, and the sites' folders."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from edge_client.job_folder import standings
from edge_client.ledger import read_ledger
from edge_client.state import SiteState
from protos.errors import StateError
from tests.faults.reference import Reference


@dataclass(frozen=True)
class Recorded:
    """One event as it stands in the log; `body` holds its fields."""

    kind: str
    body: dict[str, Any]

    @property
    def at(self) -> float:
        """When, in seconds since the epoch."""
        return float(self.body["at"])


@dataclass(frozen=True)
class Verdict:
    """How many updates were lost or counted twice, and how many files or digests are not what they must be."""

    lost: int
    duplicated: int
    wrong_bytes: int


def read_events(coordinator: Path, job: str) -> list[Recorded]:
    """The events of a job so far, oldest first."""
    try:
        # Only reading: mending what a killed coordinator left of the database is for the next one.
        with closing(sqlite3.connect(f"file:{coordinator / 'coordinator.sqlite'}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT kind, body FROM events WHERE job = ? ORDER BY number", (job,)).fetchall()
    except sqlite3.OperationalError:
        rows = []
    return [Recorded(kind, json.loads(body)) for kind, body in rows]


def is_over(events: Sequence[Recorded], reference: Reference) -> bool:
    """Whether the job has ended badly, or well and every site that takes part runs its model."""
    ended = any(event.kind == "JobEnded" for event in events)
    installed = {event.body["site"] for event in events if event.kind == "ModelInstalled"}
    return ended and (not finished(events) or installed >= set(reference.installs))


def finished(events: Sequence[Recorded]) -> bool:
    """Whether the job has ended well."""
    return [event.body["outcome"] for event in events if event.kind == "JobEnded"] == ["finished"]


def judge(coordinator: Path, sites: dict[str, Path], job: str, reference: Reference) -> Verdict:
    """Compares what a job left with an undisturbed run of it."""
    events = read_events(coordinator, job)
    counted = Counter(
        (event.body["round"], event.body["site"], event.body["digest"])
        for event in events
        if event.kind in ("UpdateCommitted", "LateUpdateKept")
    )
    expected = {(*key, digest) for key, digest in reference.updates.items()}
    lost, extra = len(expected - counted.keys()), sum(counted.values()) - len(expected & counted.keys())
    for site, state in sites.items():
        sent = Counter((entry.round, site) for entry in read_ledger(state / "ledger.jsonl") if entry.job == job)
        due = {key for key in reference.sent if key[1] == site}
        lost += len(due - sent.keys()) + len(list((state / "outbox").glob(f"{job}.*.json")))
        extra += sum(sent.values()) - len(due & sent.keys())
    return Verdict(lost, extra + _repeated(events), _wrong_bytes(coordinator, sites, job, reference, events))


def _repeated(events: Sequence[Recorded]) -> int:
    """Events that a job or a round has once, and has more than once."""
    once = ("JobSubmitted", "RoundOpened", "AggregationStarted", "ModelPublished", "RoundClosed", "JobEnded")
    seen = Counter((event.kind, event.body.get("round")) for event in events if event.kind in once)
    return sum(count - 1 for count in seen.values())


def _wrong_bytes(
    coordinator: Path, sites: dict[str, Path], job: str, reference: Reference, events: Sequence[Recorded]
) -> int:
    published = [event.body["digest"] for event in events if event.kind == "ModelPublished"]
    wrong: int = sum(a != b for a, b in zip(published, reference.globals, strict=False))
    counted = {event.body["digest"] for event in events if event.kind in ("UpdateCommitted", "LateUpdateKept")}
    for digest in {*counted, *published}:
        wrong += _digest_of(coordinator / "artifacts" / digest[:2] / digest) != digest
    wrong += sum(not _readable(state) for state in sites.values())
    for site in reference.installs:
        wrong += _digest_of(sites[site] / "models" / job / "global.safetensors") != reference.globals[-1]
    return wrong


def _readable(state: Path) -> bool:
    """Whether what a site notes for its people can still be read."""
    try:
        standings(SiteState(state))
    except StateError:
        return False
    return True


def _digest_of(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest() if path.exists() else "missing"
