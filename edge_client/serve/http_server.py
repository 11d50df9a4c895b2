"""Listens for HTTP until it is told to stop; requests that are inside are answered first."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from edge_client.serve.http_limits import BODY_S, HEADERS_S, PromptClients
from protos.errors import InvalidInput, Unavailable

DRAIN_S = 20
_MOST_CONNECTIONS = 800

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the whole service's business."""
        yield


def listen(address: str) -> socket.socket:
    """A listening socket on `HOST:PORT`; port 0 is any free one.

    Raises:
        InvalidInput: it is no such address.
        Unavailable: it is in use, or not of this machine.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise InvalidInput(f"{address[:80]!r} is not an address to listen on; write HOST:PORT")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sends without delay (40 ms a request) only where it is.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, int(port)))
        found.listen(_MOST_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        found.close()
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unavailable(f"cannot listen on {address[:80]}: {reason}") from error
    where = found.getsockname()
    log.info("http on %s:%d", f"[{where[0]}]" if family == socket.AF_INET6 else where[0], where[1])
    if not ipaddress.ip_address(where[0]).is_loopback:
        log.warning("http is open to all who reach %s: it has neither passwords nor TLS; put a proxy before it", host)
    return found


async def serve_http(app: Starlette, listening: socket.socket, stop: asyncio.Event) -> None:
    """Answers requests until `stop` is set, and then those that are inside."""
    config = uvicorn.Config(
        app, http=PromptClients, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        limit_concurrency=_MOST_CONNECTIONS, timeout_keep_alive=int(HEADERS_S),
        timeout_graceful_shutdown=DRAIN_S + int(BODY_S),
    )  # fmt: skip
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving
