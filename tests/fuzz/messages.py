"""Sound messages of every call, and one field of a message bent."""

from __future__ import annotations

from random import Random
from typing import Any

from google.protobuf.message import Message

from protos.artifacts import CHUNK_BYTES, WEIGHTS
from protos.jobs import job_from_table, job_to_json
from protos.v1 import artifacts_pb2 as artifacts
from protos.v1 import enrolment_pb2 as enrolment
from protos.v1 import jobs_pb2 as jobs
from protos.v1 import releases_pb2 as releases
from protos.v1 import work_pb2 as work
from tests.fuzz.mutations import EDGES, TEXTS, bend_bytes, bend_json

JOBS = 20  # that the target runs

_DIGEST = bytes(range(32))
_SPEC = job_to_json(job_from_table({"name": "new", "method": "fedavg"}, source="the test"))


def messages(random: Random) -> dict[str, Message]:
    """A sound request of every call, as the site, the operator or a newcomer would make it."""
    job = f"job-{random.randrange(JOBS)}"
    lease: dict[str, Any] = {"job": job, "round": 1, "epoch": random.randrange(3)}
    sound: dict[str, Message] = {
        "Work/Hello": work.HelloRequest(min_protocol=1, max_protocol=1, software="edgefed 0.1.0", clock=1e9),
        "Work/NextWork": work.NextWorkRequest(wait_s=0.05, ignore_jobs=[job]),
        "Work/JoinJob": work.JoinJobRequest(job=job, declaration={"width": "8"}),
        "Work/Heartbeat": work.HeartbeatRequest(**lease, stage="training", step=3, steps=9, eta_s=1.0),
        "Work/SubmitUpdate": work.SubmitUpdateRequest(**lease, digest=_DIGEST, weight=1.0),
        "Work/FailRound": work.FailRoundRequest(**lease, reason="no"),
        "Work/LeaveJob": work.LeaveJobRequest(job=job, reason="no"),
        "Work/ReportInstalled": work.ReportInstalledRequest(job=job, round=1, digest=_DIGEST),
        "Artifacts/HasChunks": artifacts.HasChunksRequest(
            manifest=artifacts.Manifest(
                digest=_DIGEST, size=CHUNK_BYTES + 5, media_type=WEIGHTS, chunk_digests=bytes(64)
            )
        ),
        "Artifacts/PutChunk": artifacts.PutChunkRequest(digest=_DIGEST, index=1, data=b"12345"),
        "Artifacts/Commit": artifacts.CommitRequest(digest=_DIGEST),
        "Artifacts/GetManifest": artifacts.GetManifestRequest(digest=_DIGEST),
        "Artifacts/GetChunk": artifacts.GetChunkRequest(digest=_DIGEST, index=0),
        "Enrolment/Enrol": enrolment.EnrolRequest(site="plant-a", secret=bytes(16), csr_der=b"0\x03abc"),
        "Enrolment/Renew": enrolment.RenewRequest(csr_der=b"0\x03abc"),
        "Releases/SignBundle": releases.SignBundleRequest(
            sums=b"%064x  memory_bank.safetensors\n" % random.getrandbits(256), global_digest=_DIGEST
        ),
        "Jobs/SubmitJob": jobs.SubmitJobRequest(spec_json=bend_json(random, _SPEC.encode()).decode(errors="replace")),
        "Jobs/ListJobs": jobs.ListJobsRequest(),
        "Jobs/ShowJob": jobs.ShowJobRequest(job=job),
        "Jobs/WatchJob": jobs.ShowJobRequest(job="none"),
        "Jobs/CancelJob": jobs.CancelJobRequest(job="none", reason="no"),
        "Jobs/InviteSite": jobs.InviteSiteRequest(job=job, site="other"),
        "Jobs/ListSites": jobs.ListSitesRequest(),
    }  # fmt: skip
    return sound


def bend_message(random: Random, message: Message) -> None:
    """Gives one field another value of its type."""
    fields = message.DESCRIPTOR.fields
    if not fields:
        return
    field = random.choice(fields)
    if field.message_type is not None:
        if not field.is_repeated:
            bend_message(random, getattr(message, field.name))
        elif field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update({random.choice(TEXTS): random.choice(TEXTS) for _ in range(40)})
        return
    values = getattr(message, field.name)
    if field.is_repeated:
        values.extend([random.choice(TEXTS)] * random.choice((1, 100)))
        return
    setattr(message, field.name, _value(random, field, values))


def _value(random: Random, field: Any, old: Any) -> Any:
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return random.choice((bend_bytes(random, old), b"", random.randbytes(32), bytes(CHUNK_BYTES)))
        return random.choice((*TEXTS, old + "x", old * 50))
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return random.choice((float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e300, 5e-324))
    if field.cpp_type == field.CPPTYPE_BOOL:
        return not old
    bits = 64 if field.cpp_type in (field.CPPTYPE_UINT64, field.CPPTYPE_INT64) else 32
    return random.choice(EDGES) % (1 << bits - (field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_INT32)))
