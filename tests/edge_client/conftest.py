"""A real coordinator process; and, over real TLS too, servers that misbehave in ways that a coordinator never would."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc import aio

from edge_client.compiled.tensorrt_api import TensorRT, find_tensorrt
from edge_client.config import Data, site_toml
from edge_client.connection import Connection
from edgefed.cli import main
from edgefed.local_federation import LocalFederation
from protos.artifacts import CHUNK_BYTES, Manifest, manifest_from_proto, manifest_of, manifest_to_proto
from protos.errors import BackendMissing
from protos.invitation import COORDINATOR_NAME, private_key_pem
from protos.jobs import job_from_table, job_to_json
from protos.v1 import artifacts_pb2, artifacts_pb2_grpc


@dataclass(frozen=True)
class Authority:
    """A CA that issues certificates for tests."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        name: str,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        dns: str | None = None,
        start: datetime | None = None,
        life: timedelta = timedelta(days=1),
    ) -> tuple[bytes, bytes]:
        """Key and certificate as PEM."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        start = start or datetime.now(UTC) - timedelta(hours=1)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.certificate.subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(start).not_valid_after(start + life)
        )  # fmt: skip
        if dns:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return private_key_pem(key), certificate.public_bytes(serialization.Encoding.PEM)


def make_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1000)).not_valid_after(now + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    return Authority(key, certificate)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="session")
def other_authority() -> Authority:
    return make_authority()


@dataclass
class ArtifactServer(artifacts_pb2_grpc.ArtifactsServicer):
    """Keeps artifacts in memory, counts what it is sent, and fails where it is told to.

    Attributes:
        manifests: by digest.
        chunks: by digest and index.
        committed: digests.
        asked: the indices of all PutChunk and GetChunk calls, in order.
        cut_after: how many chunk calls are answered before the connection seems cut; None for all.
        damage: indices that are served with one bit wrong.
    """

    port: int = 0
    manifests: dict[bytes, Manifest] = field(default_factory=dict)
    chunks: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    committed: set[bytes] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)
    cut_after: int | None = None
    damage: set[int] = field(default_factory=set)

    def hold(self, path: Path, media_type: str) -> str:
        """Takes a file in, for download; returns its digest."""
        manifest = manifest_of(path, media_type)
        digest = bytes.fromhex(manifest.digest)
        data = path.read_bytes()
        self.manifests[digest] = manifest
        for index in range(len(manifest.chunk_digests)):
            self.chunks[digest, index] = data[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        return manifest.digest

    async def HasChunks(self, request, context):  # type: ignore[no-untyped-def]
        manifest = manifest_from_proto(request.manifest)
        digest = request.manifest.digest
        self.manifests[digest] = manifest
        bitmap = bytearray(-(-len(manifest.chunk_digests) // 8))
        for index in range(len(manifest.chunk_digests)):
            if (digest, index) in self.chunks:
                bitmap[index // 8] |= 1 << (index % 8)
        return artifacts_pb2.HasChunksReply(bitmap=bytes(bitmap), committed=digest in self.committed)

    async def PutChunk(self, request, context):  # type: ignore[no-untyped-def]
        await self._maybe_cut(request.index, context)
        self.manifests[request.digest].check_chunk(request.index, request.data)
        self.chunks[request.digest, request.index] = request.data
        return artifacts_pb2.PutChunkReply()

    async def Commit(self, request, context):  # type: ignore[no-untyped-def]
        self.committed.add(request.digest)
        return artifacts_pb2.CommitReply(size=self.manifests[request.digest].size)

    async def GetManifest(self, request, context):  # type: ignore[no-untyped-def]
        return manifest_to_proto(self.manifests[request.digest])

    async def GetChunk(self, request, context):  # type: ignore[no-untyped-def]
        await self._maybe_cut(request.index, context)
        data = self.chunks[request.digest, request.index]
        if request.index in self.damage:
            data = bytes([data[0] ^ 1]) + data[1:]
        return artifacts_pb2.GetChunkReply(data=data)

    async def _maybe_cut(self, index: int, context: aio.ServicerContext) -> None:
        if self.cut_after is not None and len(self.asked) >= self.cut_after:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the line was cut")
        self.asked.append(index)


@pytest.fixture
async def artifact_server(authority: Authority) -> AsyncIterator[ArtifactServer]:
    servicer = ArtifactServer()
    server = aio.server()
    artifacts_pb2_grpc.add_ArtifactsServicer_to_server(servicer, server)
    pair = authority.issue("coordinator", dns=COORDINATOR_NAME)
    credentials = grpc.ssl_server_credentials([pair], root_certificates=authority.pem, require_client_auth=True)
    servicer.port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield servicer
    await server.stop(None)


@pytest.fixture
async def connection(artifact_server: ArtifactServer, authority: Authority) -> AsyncIterator[Connection]:
    key, certificate = authority.issue("plant-a")
    address = f"127.0.0.1:{artifact_server.port}"
    async with Connection(address, root_pem=authority.pem, key_pem=key, certificate_pem=certificate) as opened:
        yield opened


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[LocalFederation]:
    """A coordinator process; sites are added by the test."""
    with LocalFederation(tmp_path / "federation") as federation:
        federation.start_coordinator()
        yield federation


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFederation]:
    """A coordinator process that the tests of a module share."""
    with LocalFederation(tmp_path_factory.mktemp("federation")) as federation:
        federation.start_coordinator()
        yield federation


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real solar cells in MVTec layout: 16 functional ones to learn from, 6 more and 6 defective ones to test on."""
    import elpv_dataset

    root = tmp_path_factory.mktemp("cells")
    table = Path(elpv_dataset.__file__).parent / "data" / "labels.csv"
    listed = [line.split() for line in table.read_text().splitlines()]
    for folder, probability, first, last in (
        ("train/good", 0, 0, 16),
        ("test/good", 0, 16, 22),
        ("test/dark", 1, 0, 6),
    ):
        (root / folder).mkdir(parents=True)
        chosen = [name for name, found, kind in listed if kind == "mono" and float(found) == probability]
        for name in chosen[first:last]:
            shutil.copy(table.parent / name, root / folder)
    return root


@pytest.fixture
def site_folder(tmp_path: Path, cells: Path) -> Path:
    """A site's state folder as `join` leaves it, with the job `cells` of small settings in it."""
    return make_site_folder(tmp_path / "site", cells)


@pytest.fixture(scope="session")
def judging_site(tmp_path_factory: pytest.TempPathFactory, cells: Path) -> Path:
    """A site's state folder with the installed model of the job `cells`; tests leave it as it is."""
    from edge_client.worker import Training
    from models.feddymem.method import FEDDYMEM
    from models.method import Update
    from protos.jobs import job_from_json
    from protos.tensors import read_tensors, write_tensors

    site = make_site_folder(tmp_path_factory.mktemp("judging") / "site", cells)
    job, model, training = site / "jobs" / "cells", site / "models" / "cells", Training(lambda *progress: None)
    training.update(job, site, 1, None, job / "update.safetensors")
    settings = job_from_json((job / "spec.json").read_text()).the_settings
    updates = [Update("plant-a", 1.0, read_tensors(job / "update.safetensors"))]
    write_tensors(job / "global.safetensors", FEDDYMEM.aggregate(settings, None, updates, 0).arrays)
    model.mkdir()
    training.install(job, site, 1, job / "global.safetensors", model)
    (site / "models" / "current").write_text("cells\n")
    return site


@pytest.fixture(scope="session")
def compiled_site(judging_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of `judging_site` with its model compiled for ONNX Runtime too; tests leave it as it is."""
    from edge_client.compile.compiler import compile_model
    from edge_client.compile.request import Request

    site = Path(shutil.copytree(judging_site, tmp_path_factory.mktemp("compiled") / "site"))
    compile_model(Request(site, "cells", "onnxruntime", "fp32"), lambda *progress: None)
    return site


@pytest.fixture(scope="session")
def compiled_bundle(compiled_site: Path) -> Path:
    """The bundle of `compiled_site`; tests leave it as it is."""
    return compiled_site / "models" / "cells" / "compiled"


@pytest.fixture(scope="session")
def onnx_model(compiled_bundle: Path) -> bytes:
    """The graph of the detector that `judging_site` holds, as ONNX: 96-pixel images, 152 features."""
    return (compiled_bundle / "model.onnx").read_bytes()


@pytest.fixture
def command_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Callable[..., subprocess.CompletedProcess[str]]]:
    """`edgefed GROUP ...` in this process, where torch is loaded once."""

    def commands(group: str) -> Callable[..., subprocess.CompletedProcess[str]]:
        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            words = ["edgefed", group, *map(str, arguments)]
            monkeypatch.setattr(sys, "argv", words)
            code = 0
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            printed = capsys.readouterr()
            return subprocess.CompletedProcess(words, code, printed.out, printed.err)

        return run

    return commands


@pytest.fixture
def edgefed(
    command_group: Callable[[str], Callable[..., subprocess.CompletedProcess[str]]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`edgefed client ...` in this process."""
    return command_group("client")


@pytest.fixture(scope="session")
def rtx() -> TensorRT:
    """TensorRT-RTX, which builds engines without a GPU."""
    try:
        return find_tensorrt("tensorrt-rtx")
    except BackendMissing as error:
        pytest.skip(str(error))


def make_site_folder(site: Path, images: Path) -> Path:
    for folder in ("identity", "models", "jobs/cells"):
        (site / folder).mkdir(parents=True)
    (site / "version").write_text("1\n")
    (site / "site.toml").write_text(site_toml(Data(images=images)))
    (site / "identity" / "coordinator.json").write_text(json.dumps({"address": "127.0.0.1:1", "site": "plant-a"}))
    settings = {"features": {"image_size": 96}, "memory": {"rows": 64, "upload_rows": 32}, "aggregation": {"rows": 32}}
    job = {"name": "cells", "method": "feddymem", "feddymem": {**settings, "score": {"holdout": 0.4}}}
    (site / "jobs" / "cells" / "spec.json").write_text(job_to_json(job_from_table(job, source="the test")))
    return site
