"""Every call of every service with every kind of certificate, on a real coordinator over real TLS.

The calls are those of the service descriptors: one that is added without a rule in `CALLERS` fails here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from coordinator.certificates import open_authority
from protos.errors import ERROR_KEY
from protos.invitation import enrolment_credentials, private_key_pem
from protos.v1 import artifacts_pb2, enrolment_pb2, jobs_pb2, releases_pb2, work_pb2

CALLERS = {
    "Enrolment": {"Enrol": "enrolment", "Renew": "site"},
    "Work": dict.fromkeys(
        ("Hello", "NextWork", "JoinJob", "Heartbeat", "SubmitUpdate", "FailRound", "ReportInstalled", "LeaveJob"),
        "site",
    ),
    "Artifacts": dict.fromkeys(("HasChunks", "PutChunk", "Commit", "GetManifest", "GetChunk"), "site"),
    "Releases": {"SignBundle": "site"},
    "Jobs": dict.fromkeys(
        ("SubmitJob", "ListJobs", "ShowJob", "WatchJob", "CancelJob", "InviteSite", "ListSites"), "operator"
    ),
}
SERVICES = {
    service.name: service
    for module in (artifacts_pb2, enrolment_pb2, jobs_pb2, releases_pb2, work_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
}
METHODS = {f"{name}.{method.name}": method for name, service in SERVICES.items() for method in service.methods}
Credentials = tuple[bytes | None, bytes | None]


def test_every_call_has_a_rule() -> None:
    assert {name: {method.name for method in service.methods} for name, service in SERVICES.items()} == {
        name: set(rules) for name, rules in CALLERS.items()
    }


async def answer(channel: aio.Channel, method: MethodDescriptor, request: Any = None) -> tuple[str, str]:
    """The status of a call and the class of its error; an answer is ("OK", "")."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    kinds = {"request_serializer": lambda message: message.SerializeToString(),
             "response_deserializer": GetMessageClass(method.output_type).FromString}  # fmt: skip
    request = GetMessageClass(method.input_type)() if request is None else request
    try:
        if method.server_streaming:
            async for _ in channel.unary_stream(path, **kinds)(request, timeout=5):
                break
        else:
            await channel.unary_unary(path, **kinds)(request, timeout=5)
    except aio.AioRpcError as error:
        return error.code().name, dict(error.trailing_metadata() or ()).get(ERROR_KEY, "")
    return "OK", ""


@dataclass
class Callers:
    """A coordinator, one site in good standing, and the credentials of everybody else."""

    coordinator: Any
    site: Any
    credentials: Mapping[str, Credentials]

    def channel(self, caller: str) -> aio.Channel:
        key, certificate = self.credentials[caller]
        if key is None:
            plain = grpc.ssl_channel_credentials(self.coordinator.ca())
            options = [("grpc.ssl_target_name_override", "edgefed-coordinator")]
            return aio.secure_channel(self.coordinator.address, plain, options=options)
        return self.coordinator.channel(self.coordinator.ca(), key, certificate)


def expired(folder: Path, like_pem: bytes) -> Credentials:
    """A certificate of this very CA for the same site, whose life is over."""
    like = x509.load_pem_x509_certificate(like_pem)
    ca_key = load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(like.subject).issuer_name(like.issuer).public_key(key.public_key())
        .serial_number(like.serial_number).not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(hours=1)).sign(ca_key, hashes.SHA256())
    )  # fmt: skip
    return private_key_pem(key), certificate.public_bytes(Encoding.PEM)


@pytest.fixture
async def callers(coordinator: Any, plant: Any, cli: Any, tmp_path: Path) -> AsyncIterator[Callers]:
    good, leaver = await plant("good"), await plant("leaver")
    assert cli("revoke", "leaver", "--state", str(coordinator.state)).returncode == 0
    other = open_authority(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    stranger = other.sign_request(request.public_bytes(Encoding.DER), "good").pem
    folder = coordinator.state / "operator"
    authority = open_authority(coordinator.state / "ca")
    yield Callers(
        coordinator,
        good,
        {
            "nobody": (None, None),
            "enrolment": enrolment_credentials(authority.compressed_key),
            "site": (good.key, good.certificate),
            "operator": ((folder / "key.pem").read_bytes(), (folder / "cert.pem").read_bytes()),
            "revoked": (leaver.key, leaver.certificate),
            "another CA": (private_key_pem(key), stranger),
            "another enrolment": enrolment_credentials(other.compressed_key),
            "expired": expired(coordinator.state / "ca", good.certificate),
        },
    )


async def test_every_call_answers_its_own_callers_and_nobody_else(callers: Callers) -> None:
    wrong = []
    for caller in callers.credentials:
        async with callers.channel(caller) as channel:
            for name, method in METHODS.items():
                rule = CALLERS[method.containing_service.name][method.name]
                code, kind = await answer(channel, method)
                if caller in ("nobody", "another CA", "another enrolment", "expired"):
                    right = code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and kind == ""  # there is no connection
                elif caller == rule:
                    # An empty request is answered, or refused for what it says; never for who asks.
                    right = code in ("OK", "INVALID_ARGUMENT") or name == "Work.Hello"
                else:
                    right = (code, kind) == ("PERMISSION_DENIED", "Refused")
                if not right:
                    wrong.append((caller, name, code, kind))
    assert wrong == []


def bytes_of(number: int, *, count: int = 8) -> Callable[[int], dict[str, np.ndarray]]:
    return lambda _: {"w": np.full(count, number, np.float32)}


async def test_site_reads_and_writes_nothing_of_another_or_of_a_job_it_is_not_in(coordinator: Any, plant: Any) -> None:
    sites = {name: await plant(name, update=bytes_of(n)) for n, name in enumerate(("in-a", "in-b", "outside"))}
    async with coordinator.operator() as operator:
        await operator.submit("closed", rounds={"count": 2, "sites": ["in-a", "in-b"]})
        await sites["in-b"].accept("closed")
        train = await sites["in-a"].lease("closed")
        update = bytes.fromhex(await sites["in-a"].leave({"w": np.zeros(8, np.float32)}))
        assert (await sites["in-a"].submit(train, update.hex())).accepted
        other = (await sites["in-b"].next_work()).train
        assert (await sites["in-b"].train(other)).accepted
        await sites["in-a"].next_work()
        model = (await operator.show("closed")).history[0].global_digest
    assert await sites["in-b"].download(model)
    epoch = {"job": "closed", "round": 2, "epoch": 1}
    reads = {"GetManifest": artifacts_pb2.GetManifestRequest, "GetChunk": artifacts_pb2.GetChunkRequest}
    for site, digest in (("in-b", update), ("outside", update), ("outside", model)):
        for call, request in reads.items():
            said = await answer(sites[site].channel, METHODS[f"Artifacts.{call}"], request(digest=digest))
            assert said == ("PERMISSION_DENIED", "Refused"), (site, call)
    for call, request in {
        "JoinJob": work_pb2.JoinJobRequest(job="closed"),
        "Heartbeat": work_pb2.HeartbeatRequest(**epoch),
        "SubmitUpdate": work_pb2.SubmitUpdateRequest(**epoch, digest=update, weight=1.0),
        "FailRound": work_pb2.FailRoundRequest(**epoch),
        "ReportInstalled": work_pb2.ReportInstalledRequest(job="closed", round=2, digest=model),
    }.items():
        said = await answer(sites["outside"].channel, METHODS[f"Work.{call}"], request)
        assert said == ("INVALID_ARGUMENT", "InvalidInput"), call
    # Nor can a member hand in what another one has committed.
    theirs = work_pb2.SubmitUpdateRequest(**epoch, digest=update, weight=1.0)
    await sites["in-b"].next_work()
    said = await answer(sites["in-b"].channel, METHODS["Work.SubmitUpdate"], theirs)
    assert said == ("INVALID_ARGUMENT", "InvalidInput")


async def test_revocation_ends_a_long_poll_an_upload_and_a_download_within_a_second(
    coordinator: Any, plant: Any, cli: Any
) -> None:
    site = await plant("torn")
    path, manifest = site.artifact({"w": np.random.default_rng(0).random(8 << 20, dtype=np.float32)}, "large")
    small = bytes.fromhex(await site.leave({"w": np.ones(1 << 20, np.float32)}))
    await site.has(manifest)
    ended: dict[str, float] = {}
    loop = asyncio.get_running_loop()

    async def until_refused(name: str, call: Callable[[], Any]) -> None:
        while True:
            try:
                await call()
            except aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.PERMISSION_DENIED, error
                assert "the certificate of torn has been revoked" in error.details()
                ended[name] = loop.time()
                return

    running = [
        asyncio.create_task(until_refused("poll", lambda: site.next_work(wait_s=25))),
        asyncio.create_task(until_refused("upload", lambda: site.put(manifest, path, 3))),
        asyncio.create_task(until_refused("download", lambda: site.download(small))),
    ]
    await asyncio.sleep(0.5)
    assert ended == {}
    assert (await asyncio.to_thread(cli, "revoke", "torn", "--state", str(coordinator.state))).returncode == 0
    revoked = loop.time()
    async with asyncio.timeout(10):
        await asyncio.gather(*running)
    assert max(ended.values()) - revoked < 1.0
    chunks = (coordinator.state / "partial" / "torn" / manifest.digest / "data").read_bytes()
    for name, method in METHODS.items():
        if CALLERS[method.containing_service.name][method.name] == "site":
            assert await answer(site.channel, method) == ("PERMISSION_DENIED", "Refused"), name
    assert (coordinator.state / "partial" / "torn" / manifest.digest / "data").read_bytes() == chunks
