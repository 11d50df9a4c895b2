"""Reading a site's state folder, and asking its coordinator."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from edge_client.config import SiteConfig, load_site_config
from edge_client.connection import Connection
from edge_client.identity import Identity, load_identity
from edge_client.release_key import pinned_key
from edge_client.site_data import check_weights
from edge_client.state import open_state
from edgefed.doctor.site import Contact, Site
from protos.errors import EdgeFedError, IntegrityError
from protos.v1 import work_pb2

_ANSWER_S = 2.0


def read_site(root: Path) -> tuple[Site, Identity]:
    """A site's folder, and who it is.

    Raises:
        EdgeFedError: the folder or its identity cannot be read at all.
    """
    state = open_state(root)
    identity = load_identity(state)
    config, trouble = _configuration(root)
    pinned, key_trouble = _release_key(state.identity)
    return Site(
        root=root,
        name=identity.site,
        address=identity.address,
        validity=identity.validity,
        key_mode=(state.identity / "key.pem").stat().st_mode & 0o777,
        release_key=pinned,
        release_key_trouble=key_trouble,
        configuration=trouble,
        weights=_weights(config) if config else {},
    ), identity


def _configuration(root: Path) -> tuple[SiteConfig | None, str]:
    try:
        return load_site_config(root), ""
    except EdgeFedError as error:
        return None, str(error)


def _release_key(identity: Path) -> tuple[bool, str]:
    try:
        return pinned_key(identity) is not None, ""
    except IntegrityError as error:
        return False, str(error)


def _weights(config: SiteConfig) -> dict[str, tuple[Path, str]]:
    found = {}
    for name, entry in config.backbones.items():
        trouble = ""
        try:
            check_weights(name, entry)
        except EdgeFedError as error:
            trouble = str(error)
        found[name] = (entry.weights, trouble)
    return found


async def ask_coordinator(identity: Identity) -> Contact:
    """Says hello as the site does, over the same mutual TLS."""
    started = time.perf_counter()
    request = work_pb2.HelloRequest(
        min_protocol=1, max_protocol=1, software=f"edgefed {version('edgefed')}", clock=time.time()
    )
    try:
        async with Connection.of(identity) as connection:
            reply = await connection.call(connection.work.Hello, request, timeout_s=_ANSWER_S)
        clock = datetime.fromtimestamp(reply.clock, UTC)
    except (EdgeFedError, ValueError, OverflowError, OSError) as error:
        return Contact(identity.address, trouble=str(error))
    took_ms = 1000 * (time.perf_counter() - started)
    return Contact(identity.address, software=reply.software, clock=clock, took_ms=took_ms)
