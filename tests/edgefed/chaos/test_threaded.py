"""The proxy beside synchronous code."""

import socket
import threading

import pytest

from coordinator.address import Address
from edgefed.chaos.faults import RESET
from edgefed.chaos.threaded import ThreadedProxy
from protos.errors import Unavailable


def test_faults_can_be_set_and_counted_from_another_thread() -> None:
    before = set(threading.enumerate())  # other tests' proxies may still run in this process
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadedProxy(Address(*server.getsockname())) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as client, server.accept()[0] as served:
            client.sendall(b"question")
            assert served.recv(8) == b"question"
            proxy.set(RESET)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        counts = proxy.counts
        assert (counts.connections, counts.bytes_up, counts.injected) == (1, 8, {"reset": 1})
    assert set(threading.enumerate()) <= before


def test_taken_port_is_told_to_the_caller() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(Unavailable, match="another --listen"),
        ThreadedProxy(Address("127.0.0.1", 1), listen=Address(*server.getsockname())),
    ):
        pass
