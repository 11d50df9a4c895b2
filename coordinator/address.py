"""HOST:PORT, as it is listened on, connected to and pasted at a site."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from protos.errors import InvalidInput, StateError

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Address:
    """A host name or IP address without brackets, and a port from 0 to 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def from_here(self) -> Address:
        """Where a process on the same machine connects to."""
        return Address(_ANY.get(self.host, self.host), self.port)

    @property
    def from_outside(self) -> Address:
        """Where a site connects to: this machine's name where the coordinator listens on all interfaces."""
        return Address(socket.getfqdn(), self.port) if self.host in _ANY else self


def read_address(file: Path) -> Address:
    """The address that a coordinator has written into its state. Raises `StateError` where it never listened."""
    try:
        return parse_address(file.read_text())
    except OSError as error:
        raise StateError(f"{file} cannot be read: {error.strerror}; start the coordinator there once") from error


def parse_address(text: str) -> Address:
    """Reads HOST:PORT or [IPV6]:PORT. Raises `InvalidInput`."""
    host, colon, port = text.strip().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not port.isdecimal() or int(port) > 65535:
        raise InvalidInput(f"{text[:80]!r} is not HOST:PORT, as in 0.0.0.0:7443 or [::1]:7443")
    return Address(bare, int(port))
