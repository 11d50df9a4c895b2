"""`model.sig` of a bundle that was compiled here, from the coordinator that the memory in it came from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from edge_client.bundle.files import SIGNATURE, SUMS, kind_of, read_files
from edge_client.bundle.signature import check_signature
from edge_client.bundle.sums import check_sums
from edge_client.connection import Connection
from edge_client.identity import load_identity
from edge_client.release_key import pinned_key
from edge_client.state import open_state, write_durably
from protos.errors import EdgeFedError, IntegrityError, Refused
from protos.v1 import releases_pb2

_CALL_S = 10.0


async def sign_bundle(root: Path, folder: Path) -> None:
    """Has the coordinator sign a bundle in a folder, and puts `model.sig` there once it is right.

    Args:
        root: the site's state folder.
        folder: of a bundle that is not signed yet, or by another key.

    Raises:
        InvalidInput: there is no bundle, or no site has joined.
        IntegrityError: the bundle is damaged, or what came is no signature of it by the pinned key.
        Unavailable: the coordinator cannot be reached.
        Refused: the memory is of no job of this site, or the coordinator is too old to sign.
    """
    state = open_state(root)
    files = read_files(folder)
    check_sums(files)
    async with Connection.of(load_identity(state)) as connection:
        signature = await _ask(connection, files)
    if (key := pinned_key(state.identity)) is None:
        raise Refused(
            f"{state.identity} holds no release key to check the signature with; the next renewal of the site's "
            "certificate brings it"
        )
    check_signature({**files, SIGNATURE: signature}, key)
    write_durably(folder / SIGNATURE, signature)


def try_to_sign(root: Path, folder: Path) -> str | None:
    """Signs a bundle where that can be done now: None, or why not. Raises `IntegrityError`, see `sign_bundle`."""
    try:
        asyncio.run(sign_bundle(root, folder))
    except IntegrityError:
        raise
    except EdgeFedError as error:
        return str(error)
    return None


async def _ask(connection: Connection, files: Mapping[str, bytes]) -> bytes:
    made_of = files[kind_of(files).made_of]
    request = releases_pb2.SignBundleRequest(sums=files[SUMS], global_digest=blake3(made_of).digest())
    reply = await connection.call(connection.releases.SignBundle, request, timeout_s=_CALL_S)
    return reply.signature
