"""A site takes itself out of a job."""

from __future__ import annotations

from pathlib import Path

from edge_client.connection import Connection
from edge_client.identity import load_identity
from edge_client.job_folder import JobFolder, Standing
from edge_client.state import open_state
from protos.v1 import work_pb2


async def leave_job(root: Path, job: str, reason: str) -> None:
    """Tells the coordinator that the site has left; an agent at work on the job hears of it with its next heartbeat.

    Raises:
        InvalidInput: the site has no part in such a job.
        Unavailable: the coordinator cannot be reached.
    """
    state = open_state(root)
    folder = JobFolder(state, job)
    async with Connection.of(load_identity(state)) as connection:
        await connection.call(connection.work.LeaveJob, work_pb2.LeaveJobRequest(job=job, reason=reason))
    if folder.path.exists():
        folder.stand(Standing(job, "left", reason=reason))
