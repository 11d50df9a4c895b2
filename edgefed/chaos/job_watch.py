"""The coordinator's jobs, seen through its state folder while faults are injected on the way to its sites."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coordinator.database import open_database
from coordinator.event_log import EventLog
from coordinator.operator_channel import connect
from coordinator.state import open_state
from edgefed.chaos.job_records import job_records
from edgefed.chaos.observations import JobRecord
from protos.v1.jobs_pb2 import (
    JOB_PHASE_AGGREGATING,
    JOB_PHASE_GATHERING,
    JOB_PHASE_TRAINING,
    JobStatus,
    ListJobsRequest,
)

_CALL_S = 10.0
_RUNNING = (JOB_PHASE_GATHERING, JOB_PHASE_TRAINING, JOB_PHASE_AGGREGATING)


@dataclass(frozen=True)
class JobWatch:
    """Watches the coordinator whose state folder is `state`; its operator's calls do not go through the proxy."""

    state: Path

    def running(self) -> dict[str, str]:
        """The jobs that run now, and how far each is.

        Raises:
            StateError: the folder is not a coordinator's state.
            Unavailable: the coordinator does not answer.
        """
        with connect(self.state) as stub:
            jobs = stub.ListJobs(ListJobsRequest(), timeout=_CALL_S).jobs
        return {job.job: _where(job) for job in jobs if job.phase in _RUNNING}

    def records(self, since: float) -> tuple[JobRecord, ...]:
        """What became of the jobs that ran from `since` on (seconds since the epoch). Raises `StateError`."""
        return job_records(EventLog(open_database(open_state(self.state).database)).read(), since)


def _where(job: JobStatus) -> str:
    return f"round {job.round} of {job.rounds}" if job.round else "waits for its sites to join"
