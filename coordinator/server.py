"""The coordinator as a process: one port, one state folder."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import grpc

from coordinator.address import Address
from coordinator.artifact_store import ArtifactStore
from coordinator.certificates import Authority, open_authority
from coordinator.collection import Collection
from coordinator.database import open_database
from coordinator.event_log import EventLog
from coordinator.gate import Gate
from coordinator.jobs import Jobs
from coordinator.migrations import migrate
from coordinator.operator_credentials import keep_operator, write_operator
from coordinator.release_key import open_release_key
from coordinator.revocations import follow_revocations
from coordinator.services.artifacts import MESSAGE_BYTES, ArtifactsService
from coordinator.services.decoding import Decoding
from coordinator.services.door import Door
from coordinator.services.enrolment import EnrolmentService
from coordinator.services.jobs import JobsService
from coordinator.services.releases import ReleasesService
from coordinator.services.work import WorkService
from coordinator.sites import Sites
from coordinator.state import StateFolder, create_state, locked, room_on_disk
from protos.durable import write_durably
from protos.errors import Unavailable
from protos.heap import keep_chunks_on_heap
from protos.v1 import artifacts_pb2_grpc, enrolment_pb2_grpc, jobs_pb2_grpc, releases_pb2_grpc, work_pb2_grpc

_LOG = logging.getLogger("coordinator")
_GRACE_S = 1.0
_SCRATCH = ".aggregate-"  # no site has such a name
_OPTIONS = [
    ("grpc.http2.bdp_probe", 0),  # or every line is given megabytes of credit before a chunk's turn has come
    ("grpc.experimental.tcp_max_read_buffer_size", 128 << 10),  # or each line that carried chunks keeps 2 MB for more
    ("grpc.so_reuseport", 0),  # or a second coordinator would share the port and take half of the calls
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", 64),  # of one connection; each holds memory, and an agent needs eight
    ("grpc.server_handshake_timeout_ms", 20_000),  # two minutes by default, for anybody who opens a socket
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]


def serve(root: Path, listen: Address, announce: Callable[[Address], None]) -> int:
    """Runs a coordinator until SIGINT or SIGTERM; returns the exit code.

    Args:
        root: the state folder; made where there is none.
        listen: where to listen; port 0 takes a free one.
        announce: called once with the address, when calls are answered.

    Raises:
        StateError: the folder is of another version, in use, or cannot be used.
        Unavailable: the port is in use or the address is not of this machine.
    """
    keep_chunks_on_heap()
    state = create_state(root)
    with room_on_disk("the coordinator's start"), locked(state):
        migrate(state)
        return asyncio.run(_serve(state, listen, announce))


async def _serve(state: StateFolder, listen: Address, announce: Callable[[Address], None]) -> int:
    authority = open_authority(state.authority)
    engine = open_database(state.database)
    sites = Sites(engine)
    store = ArtifactStore(state.artifacts, state.partial, engine)
    jobs = Jobs(EventLog(engine), store, sites, _scratch(state))
    collection = Collection(state, store, lambda: [job.state for job in jobs.listing()])
    server = grpc.aio.server(interceptors=[Decoding(), Gate()], options=_OPTIONS)
    door = Door(authority, sites)
    release = open_release_key(state.release)
    enrolment = EnrolmentService(door, engine, authority, release.public_pem)
    enrolment_pb2_grpc.add_EnrolmentServicer_to_server(enrolment, server)
    work_pb2_grpc.add_WorkServicer_to_server(WorkService(door, jobs), server)
    artifacts_pb2_grpc.add_ArtifactsServicer_to_server(ArtifactsService(door, store, jobs), server)
    releases_pb2_grpc.add_ReleasesServicer_to_server(ReleasesService(door, store, jobs, release), server)
    jobs_pb2_grpc.add_JobsServicer_to_server(JobsService(door, jobs, sites), server)
    address = _bind(server, authority, listen)
    write_operator(state, authority)
    write_durably(state.operator / "address", f"{address}\n".encode())
    stopped = _stop_signal()
    jobs.resume()
    await server.start()
    announce(address)
    _LOG.info("listening on %s, state in %s", address, state.root)
    works = follow_revocations(sites, door, jobs), collection.run(), keep_operator(state, authority)
    always = [asyncio.create_task(work) for work in works]
    number = await stopped
    _LOG.info("stopping on %s", signal.Signals(number).name)
    for task in always:
        task.cancel()
    await jobs.close()
    await server.stop(_GRACE_S)
    engine.dispose()
    return 130 if number == signal.SIGINT else 0


def _scratch(state: StateFolder) -> Path:
    # New for every process: a worker that outlives a killed coordinator must not write into what the next one reads.
    for old in state.partial.glob(f"{_SCRATCH}*"):
        shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=state.partial))


def _bind(server: grpc.aio.Server, authority: Authority, listen: Address) -> Address:
    _check_free(listen)
    # A new key at every start, which never leaves memory; its certificate lives as long as the authority.
    credentials = grpc.ssl_server_credentials(
        [authority.issue_server(listen.host)], root_certificates=authority.client_roots, require_client_auth=True
    )
    try:
        port = server.add_secure_port(str(listen), credentials)
    except RuntimeError as error:
        raise Unavailable(f"cannot listen on {listen}: {error}") from error
    return Address(listen.host, port)


def _check_free(listen: Address) -> None:
    # gRPC does not say why it cannot listen, and writes lines of its own to stderr.
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(
            f"cannot listen on {listen}: {reason}; choose another --listen, or stop what is there"
        ) from error


def _stop_signal() -> asyncio.Future[int]:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    return stopped
