"""What an operator does with jobs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from coordinator import events as ev
from coordinator.certificates import Role
from coordinator.job import Job
from coordinator.jobs import Jobs
from coordinator.services.door import Door, answers, plain, streams
from coordinator.sites import Sites
from coordinator.status import status_to_proto
from protos.jobs import job_from_json
from protos.v1 import jobs_pb2 as pb
from protos.v1 import jobs_pb2_grpc

_REASON = 500  # characters
_QUIET_S = 3600.0


class JobsService(jobs_pb2_grpc.JobsServicer):
    """`edgefed.v1.Jobs`."""

    def __init__(self, door: Door, jobs: Jobs, sites: Sites) -> None:
        self.door = door
        self._jobs = jobs
        self._sites = sites

    @answers("operator")
    async def SubmitJob(self, request: pb.SubmitJobRequest, role: Role) -> pb.JobStatus:
        """Starts a job."""
        return _status(self._jobs.submit(job_from_json(request.spec_json)))

    @answers("operator")
    async def ListJobs(self, request: pb.ListJobsRequest, role: Role) -> pb.ListJobsReply:
        """All jobs, without their rounds but the latest."""
        jobs = [status_to_proto(job.state, job.progress, whole=False) for job in self._jobs.listing()]
        return pb.ListJobsReply(jobs=jobs)

    @answers("operator")
    async def ShowJob(self, request: pb.ShowJobRequest, role: Role) -> pb.JobStatus:
        """One job with all its rounds."""
        return _status(self._jobs.get(request.job))

    @streams("operator")
    async def WatchJob(self, request: pb.ShowJobRequest, role: Role) -> AsyncIterator[pb.JobStatus]:
        """The status after every change; only the last one, after the job's end, holds all rounds."""
        job = self._jobs.get(request.job)
        last: pb.JobStatus | None = None

        def changed() -> pb.JobStatus | None:
            status = status_to_proto(job.state, job.progress, whole=job.state.outcome is not None)
            return status if status != last else None

        while last is None or last.phase < pb.JOB_PHASE_FINISHED:
            if (status := await self._jobs.progress.until(changed, _QUIET_S)) is not None:
                last = status
                yield status

    @answers("operator")
    async def CancelJob(self, request: pb.CancelJobRequest, role: Role) -> pb.JobStatus:
        """Ends a job; a repeat changes nothing."""
        job = self._jobs.get(request.job)
        job.record(ev.JobEnded(at=time.time(), outcome="cancelled", reason=plain(request.reason, _REASON)))
        return _status(job)

    @answers("operator")
    async def InviteSite(self, request: pb.InviteSiteRequest, role: Role) -> pb.JobStatus:
        """Takes a site into a running job."""
        return _status(self._jobs.invite(request.job, request.site))

    @answers("operator")
    async def ListSites(self, request: pb.ListSitesRequest, role: Role) -> pb.ListSitesReply:
        """All sites."""
        return pb.ListSitesReply(
            sites=[
                pb.SiteStatus(
                    site=site.name,
                    last_seen=site.last_seen,
                    certificate_expires=site.certificate_expires,
                    revoked=site.revoked,
                )
                for site in self._sites.listing()
            ]
        )


def _status(job: Job) -> pb.JobStatus:
    return status_to_proto(job.state, job.progress)
