"""Where processes are killed: after every kind of event, and at every step of a site's work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coordinator import events
from tests.faults.injected.strikes import Strike
from tests.faults.scenarios import SCENARIOS, A
from tests.faults.trial import Trial, struck_by

KINDS = tuple(kind.__name__ for kind in events.Event.__subclasses__())
"""All kinds of events."""

APPEND = "coordinator.event_log:EventLog.append"
READ_CHUNK = "coordinator.artifact_store:ArtifactStore.read_chunk"
CALL = "edge_client.connection:Connection.call"
_TWICE = frozenset(
    {"SiteJoined", "RoundOpened", "LeaseGranted", "UpdateCommitted", "AggregationStarted", "ModelPublished",
     "RoundClosed", "ModelInstalled"}
)  # fmt: skip


def _at(point: str, when: Any, about: str = "", nth: int = 1) -> Strike:
    return Strike(A if point.startswith(("edge_client", "pathlib")) else "coordinator", point, when, about, nth)


COORDINATOR = {
    "a chunk is written": _at("coordinator.uploads:Upload.put", "after", "", 2),
    "an upload is verified": _at("coordinator.uploads:Upload.verify", "after"),
    "an artifact is linked, without its row": _at("coordinator.artifact_store:ArtifactStore._note_owner", "before"),
    "before Commit's answer": _at("coordinator.artifact_store:ArtifactStore.commit", "after"),
    "after Commit's answer": _at("coordinator.job:Job.deliver", "before"),
    "an aggregate is written, not adopted": _at("coordinator.artifact_store:ArtifactStore.adopt", "before"),
    "an aggregate is adopted, not published": _at("coordinator.artifact_store:ArtifactStore.adopt", "after"),
    "a chunk is read for a site": _at(READ_CHUNK, "after", "", 2),
}
CLIENT = {
    "asked to prepare": _at("edge_client.work:SiteWork.prepare", "before"),
    "joined, the answer is lost": _at(CALL, "after", "JoinJobRequest"),
    "leased": _at("edge_client.work:SiteWork.train", "before"),
    "training, at step 2": _at("edge_client.lease:Progress.report", "before", "training", 2),
    "trained, not in the outbox": _at("edge_client.outbox:Outbox.put", "before"),
    "half in the outbox": _at("edge_client.state:write_durably", "before", "/outbox/"),
    "in the outbox": _at("edge_client.outbox:Outbox.put", "after"),
    "in the ledger, nothing sent": _at("edge_client.ledger:record", "after"),
    "mid-upload, after 2 chunks": _at(CALL, "after", "PutChunkRequest", 2),
    "all chunks sent, not committed": _at(CALL, "before", "CommitRequest"),
    "committed, the answer is lost": _at(CALL, "after", "CommitRequest"),
    "committed, not submitted": _at(CALL, "before", "SubmitUpdateRequest"),
    "submitted, the answer is lost": _at(CALL, "after", "SubmitUpdateRequest"),
    "submitted, in the outbox still": _at("edge_client.outbox:Outbox.remove", "before"),
    "half out of the outbox": _at("pathlib:Path.unlink", "after", ".1.json"),
    "mid-download, after 2 chunks": _at(CALL, "after", "GetChunkRequest", 2),
    "asked to install": _at("edge_client.work:SiteWork.install", "before"),
    "before the installed model is in place": _at("edge_client.job_folder:JobFolder.install", "before"),
    "the model is in place, not the current one": _at("edge_client.state:write_durably", "before", "models/current"),
    "installed, not reported": _at(CALL, "before", "ReportInstalledRequest"),
    "installed, the answer is lost": _at(CALL, "after", "ReportInstalledRequest"),
}
WORKERS = {
    "aggregation worker killed: checking": Strike("coordinator", "drill:look", "before"),
    "aggregation worker killed: aggregating": Strike("coordinator", "drill:average", "before", nth=2),
    "training worker killed: training": Strike(A, "drill:train", "before", nth=2),
}
POINTS = tuple({APPEND, *(s.point for table in (COORDINATOR, CLIENT, WORKERS) for s in table.values())})
"""Every point that a process under test must be able to stop at."""


def event_trials() -> Iterator[Trial]:
    """The coordinator killed before and after the fsync of every kind of event."""
    for kind, scenario in SCENARIOS.items():
        for nth in (1, 2) if kind in _TWICE else (1,):
            before, after = _at(APPEND, "commit", kind, nth), _at(APPEND, "after", kind, nth)
            yield Trial(f"coordinator killed before the fsync of {kind}", struck_by(before), scenario)
            yield Trial(f"coordinator killed after the fsync of {kind}", struck_by(after), scenario)


def crash_trials() -> Iterator[Trial]:
    """The coordinator killed between events, a site's agent at every step, and the workers of both."""
    for what, strike in COORDINATOR.items():
        yield Trial(f"coordinator killed: {what}", struck_by(strike))
    for what, strike in CLIENT.items():
        yield Trial(f"client killed: {what}", struck_by(strike), struck=A)
    for what, strike in WORKERS.items():
        yield Trial(what, struck_by(strike), struck=A if strike.process == A else "")
