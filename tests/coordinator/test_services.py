"""Who may call what, on a real coordinator process over real TLS."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio

from protos.artifacts import CHUNK_BYTES
from protos.errors import ERROR_KEY
from protos.invitation import decode_token, enrolment_credentials, private_key_pem
from protos.v1 import artifacts_pb2, enrolment_pb2, jobs_pb2, work_pb2
from protos.v1.jobs_pb2_grpc import JobsStub
from protos.v1.work_pb2_grpc import WorkStub

HELLO = work_pb2.HelloRequest(min_protocol=1, max_protocol=1, software="test", clock=1.0)


class fails:
    """The call in the body fails with an error class and words of its message."""

    def __init__(self, kind: str, words: str) -> None:
        self.kind, self.words = kind, words

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        assert isinstance(error, aio.AioRpcError), error
        assert dict(error.trailing_metadata()).get(ERROR_KEY) == self.kind, error
        assert self.words in error.details(), error.details()
        return True


async def test_hello_agrees_on_the_protocol_and_tells_clock_and_name(plant) -> None:
    site = await plant("hello")
    reply = await site.work.Hello(HELLO)
    assert (reply.protocol, reply.site) == (1, "hello")
    assert reply.software.startswith("edgefed ")
    assert reply.clock == pytest.approx(time.time(), abs=5)


async def test_hello_of_another_protocol_is_refused_with_both_versions(plant) -> None:
    site = await plant("newer")
    with fails("Refused", "serves the protocols 1 to 1 and newer speaks 7 to 9"):
        await site.work.Hello(work_pb2.HelloRequest(min_protocol=7, max_protocol=9))


async def test_caller_without_certificate_gets_no_connection(coordinator) -> None:
    credentials = grpc.ssl_channel_credentials(coordinator.ca())
    options = [("grpc.ssl_target_name_override", "edgefed-coordinator")]
    async with aio.secure_channel(coordinator.address, credentials, options=options) as channel:
        with pytest.raises(aio.AioRpcError) as error:
            await WorkStub(channel).Hello(HELLO, timeout=5)
    assert error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_enrolment_certificate_opens_nothing_but_enrol(coordinator) -> None:
    ca_key = decode_token(coordinator.token("knocker")).ca_key
    async with coordinator.channel(coordinator.ca(), *enrolment_credentials(ca_key)) as channel:
        with fails("Refused", "a certificate for enrolment may not make this call"):
            await WorkStub(channel).Hello(HELLO)
        with fails("Refused", "a certificate for enrolment may not make this call"):
            await JobsStub(channel).ListJobs(jobs_pb2.ListJobsRequest())


async def test_own_certificate_with_a_sites_name_gets_no_connection(coordinator) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ca = x509.load_pem_x509_certificate(coordinator.ca())
    good = x509.load_pem_x509_certificate((coordinator.state / "operator" / "cert.pem").read_bytes())
    forged = (
        x509.CertificateBuilder().subject_name(good.subject).issuer_name(ca.subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(good.not_valid_before_utc).not_valid_after(good.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = forged.public_bytes(encoding=serialization.Encoding.PEM)
    async with coordinator.channel(coordinator.ca(), private_key_pem(key), pem) as channel:
        with pytest.raises(aio.AioRpcError):
            await JobsStub(channel).ListJobs(jobs_pb2.ListJobsRequest(), timeout=5)


async def test_site_may_not_do_an_operators_work(plant) -> None:
    site = await plant("curious")
    with fails("Refused", "a certificate for site may not make this call; it is for operator"):
        await site.jobs.ListJobs(jobs_pb2.ListJobsRequest())
    with fails("Refused", "it is for enrolment"):
        await site.enrolment.Enrol(enrolment_pb2.EnrolRequest(site="curious"))


async def test_operator_may_not_do_a_sites_work(coordinator) -> None:
    async with coordinator.operator() as operator:
        with fails("Refused", "a certificate for operator may not make this call"):
            await WorkStub(operator.channel).Hello(HELLO)


async def test_used_token_is_refused(coordinator) -> None:
    token = coordinator.token("once")
    await coordinator.enrol(token, ec.generate_private_key(ec.SECP256R1()))
    with fails("Refused", "the token for once was already used"):
        await coordinator.enrol(token, ec.generate_private_key(ec.SECP256R1()))


async def test_expired_token_is_refused(coordinator) -> None:
    token = coordinator.token("late", life_s=1.0)
    await asyncio.sleep(1.1)
    with fails("Refused", "the token for late expired at"):
        await coordinator.enrol(token, ec.generate_private_key(ec.SECP256R1()))


async def test_token_of_another_site_is_refused(coordinator) -> None:
    with fails("Refused", "has made no such token for thief"):
        await coordinator.enrol(coordinator.token("owner"), ec.generate_private_key(ec.SECP256R1()), site="thief")


async def test_revoked_site_is_refused_at_once(coordinator, plant, cli) -> None:
    site = await plant("leaver")
    waiting = asyncio.create_task(site.next_work(wait_s=25))
    await site.work.Hello(HELLO)
    assert cli("revoke", "leaver", "--state", str(coordinator.state)).returncode == 0
    await asyncio.sleep(1.0)  # how long a look at the table counts
    with fails("Refused", "the certificate of leaver has been revoked"):
        await site.work.Hello(HELLO)
    waiting.cancel()


async def test_renewed_certificate_works(coordinator, plant) -> None:
    site = await plant("renewer")
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    der = request.public_bytes(serialization.Encoding.DER)
    reply = await site.enrolment.Renew(enrolment_pb2.RenewRequest(csr_der=der))
    async with coordinator.channel(reply.ca_pem, private_key_pem(key), reply.certificate_pem) as channel:
        assert (await WorkStub(channel).Hello(HELLO)).site == "renewer"


async def test_last_heard_of_is_listed(plant, operator) -> None:
    site = await plant("heard")
    await site.work.Hello(HELLO)
    listing = (await operator.jobs.ListSites(jobs_pb2.ListSitesRequest())).sites
    (heard,) = [one for one in listing if one.site == "heard"]
    assert heard.last_seen == pytest.approx(time.time(), abs=30)
    assert heard.certificate_expires == pytest.approx(time.time() + 14 * 86_400, abs=120)


async def test_artifact_of_another_site_cannot_be_read(plant) -> None:
    owner, other = await plant("owner-1"), await plant("other-1")
    digest = bytes.fromhex(await owner.leave({"w": np.arange(4, dtype=np.float32)}))
    assert await owner.download(digest)
    with fails("Refused", "other-1 may not read artifact"):
        await other.artifacts.GetChunk(artifacts_pb2.GetChunkRequest(digest=digest))
    with fails("Refused", "other-1 may not read artifact"):
        await other.artifacts.GetManifest(artifacts_pb2.GetManifestRequest(digest=digest))


@pytest.mark.parametrize("digest", [b"", b"x" * 31, b"../../../etc/passwd"])
async def test_digest_that_is_none_is_told(plant, digest: bytes) -> None:
    site = await plant("digests")
    with fails("InvalidInput", "is not an artifact digest"):
        await site.artifacts.Commit(artifacts_pb2.CommitRequest(digest=digest))


async def test_damaged_chunk_is_refused_on_arrival(plant) -> None:
    site = await plant("noisy")
    _, manifest = site.artifact({"w": np.arange(CHUNK_BYTES, dtype=np.float32)})
    await site.has(manifest)
    request = artifacts_pb2.PutChunkRequest(digest=bytes.fromhex(manifest.digest), index=1, data=bytes(CHUNK_BYTES))
    with fails("IntegrityError", "chunk 1 of artifact"):
        await site.artifacts.PutChunk(request)
    assert (await site.has(manifest)).bitmap == b"\0"


async def test_chunk_larger_than_a_chunk_is_refused(plant) -> None:
    site = await plant("large")
    with pytest.raises(aio.AioRpcError) as error:
        await site.artifacts.PutChunk(artifacts_pb2.PutChunkRequest(digest=b"d" * 32, data=bytes(2 * CHUNK_BYTES)))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_control_message_that_is_too_large_is_refused(plant) -> None:
    site = await plant("talker")
    with fails("InvalidInput", "is too large for this call"):
        await site.work.JoinJob(work_pb2.JoinJobRequest(job="x", decline_reason="x" * 70_000))


async def test_site_that_is_not_invited_is_told(plant) -> None:
    site = await plant("uninvited")
    for call in (
        site.work.JoinJob(work_pb2.JoinJobRequest(job="nothing")),
        site.work.Heartbeat(work_pb2.HeartbeatRequest(job="nothing")),
        site.work.SubmitUpdate(work_pb2.SubmitUpdateRequest(job="nothing", digest=b"d" * 32)),
        site.work.ReportInstalled(work_pb2.ReportInstalledRequest(job="nothing")),
    ):
        with fails("InvalidInput", "uninvited is not invited to a job 'nothing'"):
            await call


async def test_next_work_waits_no_longer_than_asked(plant) -> None:
    site = await plant("idle")
    before = time.monotonic()
    assert (await site.next_work(wait_s=0.3)).WhichOneof("work") is None
    assert 0.25 < time.monotonic() - before < 10


@pytest.mark.parametrize("method", ["Work/Hello", "Artifacts/PutChunk"])
async def test_request_that_is_no_message_is_told_and_leaves_no_traceback(coordinator, plant, method: str) -> None:
    site = await plant("garbled")
    log = coordinator.state.parent / "coordinator.log"
    before = log.read_text().count("Traceback")
    with fails("InvalidInput", "is not a message of this call"):
        await site.channel.unary_unary(f"/edgefed.v1.{method}")(b"\xff\xff\xff")
    assert log.read_text().count("Traceback") == before


async def test_call_that_does_not_exist_is_told(plant) -> None:
    site = await plant("curious")
    with pytest.raises(aio.AioRpcError) as error:
        await site.channel.unary_unary("/edgefed.v1.Work/Nothing")(b"")
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
