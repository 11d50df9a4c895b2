"""An operator's connection to a coordinator, with the credentials in its state folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from coordinator.address import read_address
from coordinator.state import open_state
from protos.errors import StateError, error_from_rpc
from protos.invitation import COORDINATOR_NAME
from protos.v1.jobs_pb2_grpc import JobsStub

_OPTIONS = [
    ("grpc.ssl_target_name_override", COORDINATOR_NAME),
    ("grpc.max_receive_message_length", 64 << 20),  # a job of thousands of rounds, with a record of each
]


@contextmanager
def connect(root: Path) -> Iterator[JobsStub]:
    """A stub for the coordinator whose state folder this is.

    Raises:
        StateError: the folder is not a coordinator's state or cannot be read.
        EdgeFedError: whatever a call in the body fails with, as `protos.errors` has it.
    """
    folder = open_state(root).operator
    try:
        key, certificate, ca = ((folder / name).read_bytes() for name in ("key.pem", "cert.pem", "ca.pem"))
        address = read_address(folder / "address").from_here
    except OSError as error:
        raise StateError(f"the operator's credentials in {folder} cannot be read: {error.strerror}") from error
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    with grpc.secure_channel(str(address), credentials, options=_OPTIONS) as channel:
        try:
            yield JobsStub(channel)
        except grpc.RpcError as error:
            raise error_from_rpc(error, str(address)) from error
