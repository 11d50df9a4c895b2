"""A real coordinator process, and a small site client of our own that speaks to it over real mutual TLS."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio

from coordinator.certificates import open_authority
from coordinator.database import open_database
from coordinator.invitations import invite
from protos.artifacts import CHUNK_BYTES, WEIGHTS, Manifest, manifest_from_proto, manifest_of, manifest_to_proto
from protos.invitation import decode_token, encode_token, enrolment_credentials, private_key_pem
from protos.tensors import write_tensors
from protos.v1 import artifacts_pb2, enrolment_pb2, jobs_pb2, work_pb2
from protos.v1.artifacts_pb2_grpc import ArtifactsStub
from protos.v1.enrolment_pb2_grpc import EnrolmentStub
from protos.v1.jobs_pb2_grpc import JobsStub
from protos.v1.work_pb2_grpc import WorkStub

_RUN = "from coordinator.{module} import {app}; {app}()"


def run_cli(*arguments: str, app: str = "app", module: str = "cli") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _RUN.format(module=module, app=app), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@dataclass
class Coordinator:
    """A coordinator process; `kill` is SIGKILL, `start` again goes on with the same state and port."""

    state: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-c", _RUN.format(module="cli", app="app"), "start", "--json"]
        command += ["--state", str(self.state), "--listen", self.address]
        with (self.state.parent / "coordinator.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert line, (self.state.parent / "coordinator.log").read_text()
        self.port = int(json.loads(line)["listening"].rpartition(":")[2])

    @property
    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def token(self, site: str, life_s: float = 60.0) -> str:
        authority = open_authority(self.state / "ca")
        engine = open_database(self.state / "coordinator.sqlite")
        token = encode_token(invite(engine, authority, site, time.time() + life_s))
        engine.dispose()
        return token

    def channel(self, ca: bytes, key: bytes, certificate: bytes) -> aio.Channel:
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        options = [
            ("grpc.ssl_target_name_override", "edgefed-coordinator"),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 200),
        ]
        return aio.secure_channel(self.address, credentials, options=options)

    def operator(self) -> Operator:
        folder = self.state / "operator"
        return Operator(self.channel(*((folder / name).read_bytes() for name in ("ca.pem", "key.pem", "cert.pem"))))

    async def enrol(self, token: str, key: ec.EllipticCurvePrivateKey, site: str = "") -> bytes:
        """The site certificate that a token is traded for."""
        invitation = decode_token(token, now=0)
        async with self.channel(self.ca(), *enrolment_credentials(invitation.ca_key)) as channel:
            request = enrolment_pb2.EnrolRequest(
                site=site or invitation.site, secret=invitation.secret, csr_der=signing_request(key)
            )
            return (await EnrolmentStub(channel).Enrol(request)).certificate_pem

    def ca(self) -> bytes:
        return (self.state / "ca" / "cert.pem").read_bytes()


def signing_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


@dataclass
class Plant:
    """A site: joins, uploads, takes rounds. `update(round, global arrays or None)` is its training."""

    name: str
    coordinator: Coordinator
    folder: Path
    key: bytes = b""
    certificate: bytes = b""
    channel: aio.Channel | None = None
    declaration: Mapping[str, str] = field(default_factory=lambda: {"width": "8"})
    update: Callable[[int], Mapping[str, np.ndarray]] = lambda number: {"w": np.full(8, number, np.float32)}
    installed: list[str] = field(default_factory=list)

    async def join(self) -> Plant:
        key = ec.generate_private_key(ec.SECP256R1())
        token = self.coordinator.token(self.name)
        self.certificate = await self.coordinator.enrol(token, key)
        self.key = private_key_pem(key)
        self.folder.mkdir(exist_ok=True)
        self.dial()
        return self

    def dial(self) -> None:
        self.channel = self.coordinator.channel(self.coordinator.ca(), self.key, self.certificate)
        self.work, self.artifacts = WorkStub(self.channel), ArtifactsStub(self.channel)
        self.enrolment, self.jobs = EnrolmentStub(self.channel), JobsStub(self.channel)

    async def close(self) -> None:
        if self.channel is not None:
            await self.channel.close()

    def artifact(self, arrays: Mapping[str, np.ndarray], name: str = "update") -> tuple[Path, Manifest]:
        path = self.folder / f"{name}.safetensors"
        write_tensors(path, arrays)
        return path, manifest_of(path, WEIGHTS)

    async def has(self, manifest: Manifest) -> artifacts_pb2.HasChunksReply:
        return await self.artifacts.HasChunks(artifacts_pb2.HasChunksRequest(manifest=manifest_to_proto(manifest)))

    async def put(self, manifest: Manifest, path: Path, index: int) -> None:
        with path.open("rb") as file:
            file.seek(index * CHUNK_BYTES)
            data = file.read(CHUNK_BYTES)
        request = artifacts_pb2.PutChunkRequest(digest=bytes.fromhex(manifest.digest), index=index, data=data)
        await self.artifacts.PutChunk(request)

    async def commit(self, manifest: Manifest) -> artifacts_pb2.CommitReply:
        return await self.artifacts.Commit(artifacts_pb2.CommitRequest(digest=bytes.fromhex(manifest.digest)))

    async def upload(self, path: Path, manifest: Manifest) -> None:
        reply = await self.has(manifest)
        if not reply.committed:
            for first in range(0, len(manifest.chunk_digests), 4):
                chunks = range(first, min(first + 4, len(manifest.chunk_digests)))
                await asyncio.gather(*(self.put(manifest, path, index) for index in chunks))
            await self.commit(manifest)

    async def leave(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Uploads and commits arrays; their digest."""
        path, manifest = self.artifact(arrays)
        await self.upload(path, manifest)
        return manifest.digest

    async def download(self, digest: bytes) -> bytes:
        manifest = manifest_from_proto(
            await self.artifacts.GetManifest(artifacts_pb2.GetManifestRequest(digest=digest))
        )
        content = bytearray()
        for index in range(len(manifest.chunk_digests)):
            request = artifacts_pb2.GetChunkRequest(digest=digest, index=index)
            data = (await self.artifacts.GetChunk(request)).data
            manifest.check_chunk(index, data)
            content += data
        return bytes(content)

    async def next_work(self, wait_s: float = 20.0) -> work_pb2.NextWorkReply:
        return await self.work.NextWork(work_pb2.NextWorkRequest(wait_s=wait_s))

    async def lease(self, job: str) -> work_pb2.Train:
        """Joins a job and waits for its round."""
        await self.accept(job)
        return (await self.next_work()).train

    async def accept(self, job: str) -> work_pb2.JoinJobReply:
        return await self.work.JoinJob(work_pb2.JoinJobRequest(job=job, declaration=self.declaration))

    async def train(self, train: work_pb2.Train) -> work_pb2.SubmitUpdateReply:
        """One round with what `update` makes, and 1.0 as its weight."""
        if train.global_digest:
            await self.download(train.global_digest)
        return await self.submit(train, await self.leave(self.update(train.round)))

    async def submit(self, train: work_pb2.Train, digest: str, weight: float = 1.0) -> work_pb2.SubmitUpdateReply:
        request = work_pb2.SubmitUpdateRequest(
            job=train.job, round=train.round, epoch=train.epoch, digest=bytes.fromhex(digest), weight=weight
        )
        return await self.work.SubmitUpdate(request)

    async def serve(self) -> None:
        """Does whatever the coordinator asks until a final model is installed; outlives its restarts."""
        while not self.installed:
            try:
                work = await self.next_work()
                kind = work.WhichOneof("work")
                if kind == "prepare":
                    await self.accept(work.prepare.job)
                elif kind == "train":
                    await self.train(work.train)
                elif kind == "install":
                    await self.download(work.install.global_digest)
                    request = work_pb2.ReportInstalledRequest(
                        job=work.install.job, round=work.install.round, digest=work.install.global_digest
                    )
                    await self.work.ReportInstalled(request)
                    self.installed.append(work.install.global_digest.hex())
            except aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    raise
                await asyncio.sleep(0.1)


class Operator:
    """The operator's calls; use it in `async with`."""

    def __init__(self, channel: aio.Channel) -> None:
        self.channel = channel
        self.jobs = JobsStub(channel)

    async def __aenter__(self) -> Operator:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.channel.close()

    async def submit(
        self, name: str, *, rounds: Mapping[str, object] | None = None, **top: object
    ) -> jobs_pb2.JobStatus:
        spec = {"name": name, "method": "fedavg", "rounds": rounds or {}, **top}
        return await self.jobs.SubmitJob(jobs_pb2.SubmitJobRequest(spec_json=json.dumps(spec)))

    async def show(self, name: str) -> jobs_pb2.JobStatus:
        return await self.jobs.ShowJob(jobs_pb2.ShowJobRequest(job=name))

    async def watch(self, name: str) -> jobs_pb2.JobStatus:
        async for status in self.jobs.WatchJob(jobs_pb2.ShowJobRequest(job=name)):
            last = status
        return last


@pytest.fixture
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_cli


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """One process for a module's tests; a test that kills it starts it again."""
    running = Coordinator(tmp_path_factory.mktemp("coordinator") / "state")
    running.start()
    yield running
    running.stop()


@pytest.fixture
async def operator(coordinator: Coordinator) -> AsyncIterator[Operator]:
    async with coordinator.operator() as operator:
        yield operator


@pytest.fixture
async def plant(coordinator: Coordinator, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Plant]]]:
    """`await plant(name, **attributes)` is a site that has joined the coordinator."""
    plants: list[Plant] = []

    async def join(name: str, **attributes: Any) -> Plant:
        plants.append(Plant(name, coordinator, tmp_path / name, **attributes))
        return await plants[-1].join()

    yield join
    for one in plants:
        await one.close()


@pytest.fixture
def request_der() -> Callable[[bytes], bytes]:
    """A certificate request for a private key as PEM."""

    def request(key_pem: bytes) -> bytes:
        key = serialization.load_pem_private_key(key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return signing_request(key)

    return request


@pytest.fixture
def coordinator_at() -> Iterator[Callable[..., Coordinator]]:
    """`coordinator_at(state, **attributes)` starts a process on a state folder of the test's own."""
    started: list[Coordinator] = []

    def start(state: Path, **attributes: Any) -> Coordinator:
        started.append(Coordinator(state, **attributes))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        if one.process is not None and one.process.poll() is None:
            one.stop()


@pytest.fixture
async def plant_at(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Plant]]]:
    """`await plant_at(coordinator, name, **attributes)` is a site that has joined that coordinator."""
    plants: list[Plant] = []

    async def join(coordinator: Coordinator, name: str, **attributes: Any) -> Plant:
        plants.append(Plant(name, coordinator, tmp_path / name, **attributes))
        return await plants[-1].join()

    yield join
    for one in plants:
        await one.close()
