"""What a coordinator answers to a site: the site's real agent code, with a hostile coordinator over real TLS.

The worker's real code runs too, in this process: a process for each case would take seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio

from edge_client import lease
from edge_client.agent import Agent
from edge_client.connection import Connection
from edge_client.identity import Identity, save_identity
from edge_client.outbox import Outbox
from edge_client.state import VERSION, SiteState
from edge_client.work import SiteWork
from edge_client.worker import Training, answer
from edge_client.worker_client import Report, WorkFailed, read_answer
from models.method import methods
from protos.errors import EdgeFedError
from protos.invitation import COORDINATOR_NAME, private_key_pem
from protos.jobs import job_for_sites, job_from_table
from protos.v1 import work_pb2
from tests.fuzz.family import Family
from tests.fuzz.hostile_coordinator import HostileCoordinator
from tests.fuzz.messages import bend_message
from tests.fuzz.mutations import bend_json

_PLUGIN = Path(__file__).parents[2] / "edge_client" / "plugin"


class WorkerHere:
    """The worker without a process of its own; requests and answers still pass as lines of JSON."""

    is_running = True

    async def ask(self, request: dict[str, Any], report: Report) -> dict[str, Any]:
        """Has the worker's code do one thing."""
        answers = [json.dumps(answer(json.loads(json.dumps(request)), Training(report)))]
        await asyncio.sleep(0.015)  # a heartbeat comes between
        for line in answers:
            if (result := read_answer(line.encode(), report)) is not None:
                return result
        raise WorkFailed("WorkerEnded", "no answer")

    async def stop(self) -> None:
        """Nothing to end."""


@dataclass
class Stage:
    """A hostile coordinator and a connection to it."""

    coordinator: HostileCoordinator
    connection: Connection
    identity: Identity


async def _open() -> Stage:
    lease.HEARTBEAT_S = 0.01
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hostile")])
    names = x509.SubjectAlternativeName([x509.DNSName(COORDINATOR_NAME)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(99))
    pem = (
        builder.add_extension(names, critical=False).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    coordinator = HostileCoordinator()
    server = aio.server(handlers=[coordinator])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(private_key_pem(key), pem)]))
    await server.start()
    identity = Identity("plant-a", f"127.0.0.1:{port}", private_key_pem(key), pem, pem)
    coordinator.server = server  # type: ignore[attr-defined]  # or it would be collected, and stop
    return Stage(coordinator, Connection.of(identity), identity)


@cache
def _runner() -> asyncio.Runner:
    """One event loop for all cases; the method `rehearsal` is installed beside it."""
    folder = Path(tempfile.mkdtemp(prefix="edgefed-rehearsal-"))
    package = folder / "rehearsal-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rehearsal\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[edgefed.methods]\nrehearsal = rehearsal:METHOD\n")
    sys.path[:0] = [str(folder), str(_PLUGIN)]
    methods.cache_clear()
    assert "rehearsal" in methods()
    return asyncio.Runner()


@cache
def _stage() -> Stage:
    return _runner().run(_open())


def _site(folder: Path, identity: Identity) -> SiteState:
    state = SiteState(folder)
    for needed in (state.identity, state.outbox, state.artifacts, state.models, state.jobs):
        needed.mkdir()
    save_identity(state.identity, identity)
    (folder / "version").write_text(VERSION)
    (folder / "site.toml").write_text('[egress]\nallow = ["memory-bank"]\nmax_bytes = 100_000\n')
    return state


def _work(random: Random, digest: bytes) -> work_pb2.NextWorkReply:
    """Work that a coordinator may ask for, bent."""
    spec = job_for_sites(job_from_table({"name": "cells", "method": "rehearsal"}, source="the test"))
    if random.random() < 0.3:
        spec = bend_json(random, spec.encode()).decode(errors="replace")
    reply = work_pb2.NextWorkReply()
    what = random.choice(("prepare", "train", "train", "train", "install"))
    part = getattr(reply, what)
    part.job, part.spec_json = "cells", spec
    if what != "prepare":
        part.round, part.global_digest = random.choice((1, 2)), random.choice((b"", digest, digest))
    if what == "train":
        part.epoch, part.rounds = 1, 2
    for _ in range(random.choice((0, 1, 1, 2))):
        bend_message(random, part)
    return work_pb2.NextWorkReply.FromString(reply.SerializeToString())


async def _visit(state: SiteState, random: Random) -> None:
    """What an agent does between two long polls; it outlives the errors that its loop outlives."""
    stage = _stage()
    stage.coordinator.random = random
    agent = Agent(state)
    work = SiteWork(state, stage.connection, Outbox(state.outbox), WorkerHere())  # type: ignore[arg-type]
    doing: list[Coroutine[Any, Any, None]] = [agent._greet(stage.connection)]
    for _ in range(3):
        asked = _work(random, stage.coordinator.digest)
        what = asked.WhichOneof("work")
        if what:
            doing.append(getattr(work, what)(getattr(asked, what)))
    failures: list[Exception] = []
    for piece in doing:
        try:
            await asyncio.wait_for(piece, 15)
        except (EdgeFedError, WorkFailed) as error:
            failures.append(error)
    for parcel in Outbox(state.outbox).waiting():
        await work.post(parcel, lease.Progress())
    if failures:
        raise failures[0]


def _take(data: bytes, folder: Path) -> None:
    runner, root = _runner(), folder / "site"
    root.mkdir()
    before = set(folder.iterdir())
    state = _site(root, _stage().identity)
    try:
        runner.run(_visit(state, Random(data)))
    finally:
        assert set(folder.iterdir()) == before, "something was written outside the site's folder"
        allowed = {"version", "identity", "outbox", "artifacts", "models", "jobs", "site.toml", "ledger.jsonl"}
        assert {path.name for path in root.iterdir()} <= allowed


REPLIES = (
    Family(
        "replies to a site", lambda: [b"0", b"1"], lambda random, data: random.randbytes(8), _take,
        refusals=(EdgeFedError, WorkFailed), full=1000, quick=40, memory_bytes=128 << 20,
    ),
)  # fmt: skip
