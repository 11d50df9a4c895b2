"""What a site does for its jobs."""

from __future__ import annotations

import time
from importlib.metadata import version

from coordinator import events as ev
from coordinator.answers import Install, Prepare
from coordinator.certificates import Role
from coordinator.job import Job
from coordinator.jobs import Jobs, Work
from coordinator.services.door import Door, answers, plain
from coordinator.status import Progress
from protos.artifacts import check_digest
from protos.errors import InvalidInput, Refused
from protos.jobs import job_for_sites
from protos.v1 import work_pb2 as pb
from protos.v1 import work_pb2_grpc

PROTOCOL = 1
OLDEST_PROTOCOL = 1  # that is still served
MAX_WAIT_S = 25.0
_REASON = 500  # characters
_STAGE = 40
_MAX_KEYS = 32


class WorkService(work_pb2_grpc.WorkServicer):
    """`edgefed.v1.Work`."""

    def __init__(self, door: Door, jobs: Jobs) -> None:
        self.door = door
        self._jobs = jobs

    @answers("site")
    async def Hello(self, request: pb.HelloRequest, role: Role) -> pb.HelloReply:
        """Agrees on a protocol version."""
        protocol = min(PROTOCOL, request.max_protocol)
        if protocol < max(OLDEST_PROTOCOL, request.min_protocol):
            raise Refused(
                f"this coordinator serves the protocols {OLDEST_PROTOCOL} to {PROTOCOL} and {role.name} speaks "
                f"{request.min_protocol} to {request.max_protocol}; update the older of the two"
            )
        software = f"edgefed {version('edgefed')}"
        return pb.HelloReply(protocol=protocol, software=software, clock=time.time(), site=role.name)

    @answers("site")
    async def NextWork(self, request: pb.NextWorkRequest, role: Role) -> pb.NextWorkReply:
        """Waits for something to do."""
        wait_s = min(MAX_WAIT_S, max(0.0, request.wait_s))
        found = await self._jobs.next_work(role.name, set(request.ignore_jobs), wait_s)
        if found is None:
            return pb.NextWorkReply()
        self.door.check(role)  # it may have been revoked meanwhile
        return _work_to_proto(*found)

    @answers("site")
    async def JoinJob(self, request: pb.JoinJobRequest, role: Role) -> pb.JoinJobReply:
        """A site's answer to a job."""
        if len(request.declaration) > _MAX_KEYS:
            raise InvalidInput(f"a declaration of {len(request.declaration)} keys; at most {_MAX_KEYS} are read")
        declaration = {plain(key, _REASON): plain(value, _REASON) for key, value in request.declaration.items()}
        job = self._jobs.of_site(request.job, role.name)
        verdict = job.join(role.name, declaration, plain(request.decline_reason, _REASON))
        return pb.JoinJobReply(accepted=verdict.accepted, reason=verdict.reason)

    @answers("site")
    async def Heartbeat(self, request: pb.HeartbeatRequest, role: Role) -> pb.HeartbeatReply:
        """Progress of a leased round."""
        progress = Progress(
            stage=plain(request.stage, _STAGE),
            step=request.step,
            steps=request.steps,
            eta_s=request.eta_s,
            bytes_done=request.bytes_done,
        )
        job = self._jobs.of_site(request.job, role.name)
        verdict = job.heartbeat(role.name, request.round, request.epoch, progress)
        queued = self._jobs.queue(role.name, at_work_on=request.job)
        return pb.HeartbeatReply(lease_valid=verdict.accepted, reason=verdict.reason, queued_jobs=queued)

    @answers("site")
    async def SubmitUpdate(self, request: pb.SubmitUpdateRequest, role: Role) -> pb.SubmitUpdateReply:
        """Names a committed artifact as the site's update."""
        job = self._jobs.of_site(request.job, role.name)
        digest = check_digest(request.digest.hex())
        verdict = await job.deliver(role.name, request.round, request.epoch, digest, request.weight)
        return pb.SubmitUpdateReply(accepted=verdict.accepted, reason=verdict.reason)

    @answers("site")
    async def FailRound(self, request: pb.FailRoundRequest, role: Role) -> pb.FailRoundReply:
        """A round cannot be done at the site."""
        reason = plain(request.reason, _REASON) or "could not do the round and did not say why"
        self._jobs.of_site(request.job, role.name).fail_round(role.name, request.round, request.epoch, reason)
        return pb.FailRoundReply()

    @answers("site")
    async def LeaveJob(self, request: pb.LeaveJobRequest, role: Role) -> pb.LeaveJobReply:
        """A site takes itself out of a job."""
        reason = plain(request.reason, _REASON) or "left and did not say why"
        self._jobs.leave(request.job, role.name, reason)
        return pb.LeaveJobReply()

    @answers("site")
    async def ReportInstalled(self, request: pb.ReportInstalledRequest, role: Role) -> pb.ReportInstalledReply:
        """The final model is installed at the site."""
        job = self._jobs.of_site(request.job, role.name)
        if request.digest.hex() != job.state.global_digest:
            raise InvalidInput(
                f"the final model of job {request.job} is {job.state.global_digest[:12] or 'not made yet'}"
            )
        job.record(ev.ModelInstalled(at=time.time(), site=role.name))
        return pb.ReportInstalledReply()


def _work_to_proto(job: Job, work: Work) -> pb.NextWorkReply:
    state = job.state
    spec_json = job_for_sites(state.spec)
    if isinstance(work, Prepare):
        return pb.NextWorkReply(prepare=pb.Prepare(job=state.job, spec_json=spec_json))
    if isinstance(work, Install):
        final = bytes.fromhex(state.global_digest)
        install = pb.Install(job=state.job, round=len(state.rounds), spec_json=spec_json, global_digest=final)
        return pb.NextWorkReply(install=install)
    before = state.rounds[work.round - 2].global_digest if work.round > 1 else ""
    train = pb.Train(
        job=state.job,
        round=work.round,
        epoch=work.epoch,
        spec_json=spec_json,
        global_digest=bytes.fromhex(before),
        rounds=state.spec.rounds.count,
    )
    return pb.NextWorkReply(train=train)
