"""Requests to a real coordinator process over real TLS: bent messages and no messages, from callers of every kind."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import aio

from protos.artifacts import CHUNK_BYTES, WEIGHTS
from protos.errors import ERROR_KEY
from protos.jobs import job_from_table, job_to_json
from protos.v1 import artifacts_pb2 as artifacts
from protos.v1 import enrolment_pb2 as enrolment
from protos.v1 import jobs_pb2 as jobs
from protos.v1 import work_pb2 as work
from tests.fuzz.mutations import EDGES, TEXTS, bend_bytes, bend_json
from tests.fuzz.target import JOBS, KINDS, Target, target
from tests.fuzz.trials import Tally

AT_ONCE = 12
SLOW_S = 1.0
CALL_S = 8.0  # after which a call is stuck; long polls are cut short below
GROWTH_BYTES = 96 << 20
STREAMING = frozenset({"WatchJob"})

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


def case(number: int) -> tuple[str, str, bytes]:
    """Caller, method and request of one case."""
    random = Random(f"requests {number}")
    sound = messages(random)
    name = random.choice(sorted(sound))
    message = sound[name]
    for _ in range(random.choice((0, 1, 1, 2))):
        bend_message(random, message)
    data = message.SerializeToString()
    if random.random() < 0.25:
        data = bend_bytes(random, data)
    if random.random() < 0.01:
        data = bytes(2 * CHUNK_BYTES)
    natural = {"Jobs": "operator", "Enrolment": "enrolment"}.get(name.partition("/")[0], "site")
    caller = natural if random.random() < 0.8 else random.choice(KINDS)
    return caller, f"/edgefed.v1.{name if random.random() < 0.98 else 'Work/Nothing'}", data


async def _answer(channel: aio.Channel, method: str, data: bytes) -> tuple[str, str]:
    try:
        if method.rpartition("/")[2] in STREAMING:
            async for _ in channel.unary_stream(method)(data, timeout=CALL_S):
                break
        else:
            await channel.unary_unary(method)(data, timeout=CALL_S)
    except aio.AioRpcError as error:
        code, ours = error.code(), dict(error.trailing_metadata() or ()).get(ERROR_KEY)
        words = f"{code.name}: {error.details()}"[:300]
        if ours or code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED):
            return "refused", words
        return ("stuck" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "crashed"), words
    return "accepted", ""


async def _run(attacked: Target, count: int, tally: Tally) -> None:
    options = [("grpc.ssl_target_name_override", "edgefed-coordinator"), ("grpc.use_local_subchannel_pool", 1)]
    channels = {
        kind: aio.secure_channel(attacked.address, grpc.ssl_channel_credentials(attacked.ca, *pair), options=options)
        for kind, pair in attacked.credentials.items()
    }
    numbers = iter(range(count))

    async def attack() -> None:
        for number in numbers:
            caller, method, data = case(number)
            began = time.monotonic()
            outcome, words = await _answer(channels[caller], method, data)
            spent = time.monotonic() - began
            if caller == "stranger":  # gets no connection, which gRPC tells as an absent server
                outcome = "refused" if words.startswith("UNAVAILABLE") else "crashed"
            waits = method.endswith("/NextWork")  # as long as it was asked to, up to 25 s
            if outcome == "stuck" and waits:
                outcome = "accepted"
            elif outcome == "accepted" and spent > SLOW_S * AT_ONCE and not waits:
                outcome, words = "slow", f"took {spent:.1f} s"
            tally.note(number, outcome, 0.0 if waits else spent, f"{caller} {method}: {words}")

    await asyncio.gather(*(attack() for _ in range(AT_ONCE)))
    await asyncio.gather(*(channel.close() for channel in channels.values()))


def run_requests(count: int) -> Tally:
    """Sends the first `count` cases; a traceback in the coordinator's log is a crash, and growth a fault of memory."""
    tally, began = Tally("requests"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, target(Path(folder)) as attacked:
        asyncio.run(_run(attacked, min(500, count), Tally("the first ones, which load what is needed")))
        before = attacked.resident_bytes
        asyncio.run(_run(attacked, count, tally))
        grown = attacked.resident_bytes - before
        if grown > GROWTH_BYTES:
            tally.note(count, "greedy", 0.0, f"the coordinator grew by {grown >> 20} MiB")
        for block in attacked.tracebacks:
            tally.note(count, "crashed", 0.0, f"in the log: {block}")
    tally.seconds = time.monotonic() - began
    return tally
