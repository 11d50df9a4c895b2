"""Who may connect over ZeroMQ: this machine freely, others with a CURVE key that the site knows."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path

import zmq
import zmq.asyncio
import zmq.auth
from zmq.auth.asyncio import AsyncioAuthenticator

from edge_client.state import disk_errors
from protos.errors import InvalidInput, Refused, StateError

FOLDER = "curve"
CLIENTS = "clients"
SERVER = "server"

_TCP = re.compile(r"tcp://(?P<host>\*|[^:\[\]]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5}|\*)")


def is_local(endpoint: str) -> bool:
    """Whether only processes of this machine reach an endpoint.

    Raises:
        InvalidInput: it is neither `ipc://PATH` nor `tcp://ADDRESS:PORT`.
    """
    if endpoint.startswith("ipc://") and len(endpoint) > len("ipc://"):
        return True
    found = _TCP.fullmatch(endpoint)
    if found is None or (found["port"] != "*" and int(found["port"]) > 65_535):
        raise InvalidInput(f"{endpoint[:80]!r} is not an endpoint; write tcp://ADDRESS:PORT or ipc://PATH")
    try:
        return ipaddress.ip_address(found["host"].strip("[]")).is_loopback
    except ValueError:
        return False  # "*" and names of interfaces


class Curve:
    """The keys of a site: its own, and the public ones of those that may connect.

    Args:
        root: the site's state folder; the keys lie in `curve/`.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._authenticator: AsyncioAuthenticator | None = None

    def protect(self, socket: zmq.asyncio.Socket, context: zmq.asyncio.Context) -> None:
        """Lets only known keys connect to a socket that is not bound yet.

        Raises:
            Refused: no key is known, so nobody could connect.
            StateError: the keys cannot be read or written.
        """
        clients = self._folder / CLIENTS
        public, secret = self._own_keys(clients)
        if not any(clients.glob("*.key")):
            raise Refused(
                f"others than this machine connect with a key, and {clients} holds none: put the public key of every "
                "camera there (docs/serving.md), or listen on 127.0.0.1"
            )
        if self._authenticator is None:
            self._authenticator = AsyncioAuthenticator(context)
            self._authenticator.start()
            self._authenticator.configure_curve(domain="*", location=str(clients))
        socket.curve_publickey, socket.curve_secretkey, socket.curve_server = public, secret, True

    def close(self) -> None:
        """Ends what checks keys."""
        if self._authenticator is not None:
            self._authenticator.stop()

    def _own_keys(self, clients: Path) -> tuple[bytes, bytes]:
        path = self._folder / f"{SERVER}.key_secret"
        with disk_errors(self._folder):
            clients.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                before = os.umask(0o077)
                try:
                    zmq.auth.create_certificates(self._folder, SERVER)
                finally:
                    os.umask(before)
        try:
            public, secret = zmq.auth.load_certificate(path)
        except (OSError, ValueError) as error:
            raise StateError(f"{path} is not a CURVE key; remove it, and give the cameras the new one") from error
        if secret is None:
            raise StateError(f"{path} holds no secret key; remove it, and give the cameras the new one")
        return public, secret
