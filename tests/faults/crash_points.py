"""Where processes are killed: after every kind of event, and at every step of a site's work."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator import events
from tests.faults.injected.strikes import Strike
from tests.faults.scenarios import SCENARIOS
from tests.faults.trial import Trial, struck_by

KINDS = tuple(kind.__name__ for kind in events.Event.__subclasses__())
_TWICE = frozenset(
    {"SiteJoined", "RoundOpened", "LeaseGranted", "UpdateCommitted", "AggregationStarted", "ModelPublished",
     "RoundClosed", "ModelInstalled"}
)  # fmt: skip
_APPEND = "coordinator.event_log:EventLog.append"

# What, where, when, with what among the arguments, the how-manyth time.
_COORDINATOR = [
    ("a chunk is written", "coordinator.uploads:Upload.put", "after", "", 2),
    ("an upload is verified", "coordinator.uploads:Upload.verify", "after", "", 1),
    ("an artifact is linked, its row is not there", "coordinator.artifact_store:ArtifactStore._note_owner", "before", "", 1),
    ("before Commit's answer", "coordinator.artifact_store:ArtifactStore.commit", "after", "", 1),
    ("after Commit's answer", "coordinator.job:Job.deliver", "before", "", 1),
    ("an aggregate is written, not adopted", "coordinator.artifact_store:ArtifactStore.adopt", "before", "", 1),
    ("an aggregate is adopted, not published", "coordinator.artifact_store:ArtifactStore.adopt", "after", "", 1),
    ("a chunk is read for a site", "coordinator.artifact_store:ArtifactStore.read_chunk", "after", "", 2),
]  # fmt: skip
_CALL = "edge_client.connection:Connection.call"
_CLIENT = [
    ("asked to prepare", "edge_client.work:SiteWork.prepare", "before", "", 1),
    ("joined, the answer is lost", _CALL, "after", "JoinJobRequest", 1),
    ("leased", "edge_client.work:SiteWork.train", "before", "", 1),
    ("training, at step 2", "edge_client.lease:Progress.report", "before", "training", 2),
    ("trained, not in the outbox", "edge_client.outbox:Outbox.put", "before", "", 1),
    ("half in the outbox", "edge_client.state:write_durably", "before", "/outbox/", 1),
    ("in the outbox", "edge_client.outbox:Outbox.put", "after", "", 1),
    ("in the ledger, nothing sent", "edge_client.ledger:record", "after", "", 1),
    ("mid-upload, after 2 chunks", _CALL, "after", "PutChunkRequest", 2),
    ("all chunks sent, not committed", _CALL, "before", "CommitRequest", 1),
    ("committed, the answer is lost", _CALL, "after", "CommitRequest", 1),
    ("committed, not submitted", _CALL, "before", "SubmitUpdateRequest", 1),
    ("submitted, the answer is lost", _CALL, "after", "SubmitUpdateRequest", 1),
    ("submitted, in the outbox still", "edge_client.outbox:Outbox.remove", "before", "", 1),
    ("half out of the outbox", "pathlib:Path.unlink", "after", ".1.json", 1),
    ("mid-download, after 2 chunks", _CALL, "after", "GetChunkRequest", 2),
    ("asked to install", "edge_client.work:SiteWork.install", "before", "", 1),
    ("before the installed model is in place", "edge_client.job_folder:JobFolder.install", "before", "", 1),
    ("the model is in place, not yet the current one", "edge_client.state:write_durably", "before", "models/current", 1),
    ("installed, not reported", _CALL, "before", "ReportInstalledRequest", 1),
    ("installed, the answer is lost", _CALL, "after", "ReportInstalledRequest", 1),
]  # fmt: skip
_WORKERS = [
    ("aggregation worker killed: checking", "coordinator", "drill:look", 1),
    ("aggregation worker killed: aggregating", "coordinator", "drill:average", 2),
    ("training worker killed: training", "plant-a", "drill:train", 2),
]
POINTS = tuple(
    {_APPEND, *(where for _, where, *_ in (*_COORDINATOR, *_CLIENT)), *(where for _, _, where, _ in _WORKERS)}
)
"""Every point that a process under test must be able to stop at."""


def event_trials(kind: str) -> Iterator[Trial]:
    """The coordinator killed before and after the fsync of a kind of event."""
    for when, words in (("commit", "before"), ("after", "after")):
        for nth in (1, 2) if kind in _TWICE else (1,):
            strike = Strike("coordinator", _APPEND, when, kind, nth)  # type: ignore[arg-type]
            yield Trial(f"coordinator killed {words} the fsync of {kind}", struck_by(strike), SCENARIOS[kind])


def coordinator_trials() -> Iterator[Trial]:
    """The coordinator killed between events."""
    for what, where, when, about, nth in _COORDINATOR:
        strike = Strike("coordinator", where, when, about, nth)  # type: ignore[arg-type]
        yield Trial(f"coordinator killed: {what}", struck_by(strike))


def client_trials() -> Iterator[Trial]:
    """A site's agent killed at every step."""
    for what, where, when, about, nth in _CLIENT:
        strike = Strike("plant-a", where, when, about, nth)  # type: ignore[arg-type]
        yield Trial(f"client killed: {what}", struck_by(strike), struck="plant-a")


def worker_trials() -> Iterator[Trial]:
    """A worker process killed while it works."""
    for what, process, where, nth in _WORKERS:
        struck = process if process != "coordinator" else ""
        yield Trial(what, struck_by(Strike(process, where, "before", "", nth)), struck=struck)
