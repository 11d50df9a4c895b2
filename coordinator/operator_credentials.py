"""What an operator needs to connect, kept fresh in the state folder."""

from __future__ import annotations

import asyncio
import logging

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coordinator.certificates import OPERATOR_LIFE, Authority
from coordinator.state import StateFolder, room_on_disk
from protos.durable import write_durably
from protos.errors import StateError
from protos.invitation import private_key_pem

_RENEW_AFTER_S = OPERATOR_LIFE.total_seconds() * 2 / 3
_RETRY_S = 3600.0
_LOG = logging.getLogger("coordinator")


def write_operator(state: StateFolder, authority: Authority) -> None:
    """Writes what an operator needs to connect; the key stays, the certificate is new. Raises `StateError`."""
    folder = state.operator
    try:
        with room_on_disk("the operator's certificate"):
            if not (folder / "key.pem").exists():
                key = ec.generate_private_key(ec.SECP256R1())
                write_durably(folder / "key.pem", private_key_pem(key), mode=0o600)
            kept = load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
            if not isinstance(kept, ec.EllipticCurvePrivateKey):
                raise StateError(f"{folder / 'key.pem'} is not one that EdgeFed made; remove it")
            write_durably(folder / "ca.pem", authority.pem)
            write_durably(folder / "cert.pem", authority.issue_operator(kept))
    except (OSError, ValueError) as error:
        raise StateError(f"the operator's credentials in {folder} cannot be used: {error}") from error


async def keep_operator(state: StateFolder, authority: Authority) -> None:
    """Renews the operator's certificate for as long as the coordinator runs."""
    wait_s = _RENEW_AFTER_S
    while True:
        await asyncio.sleep(wait_s)
        try:
            write_operator(state, authority)
            wait_s = _RENEW_AFTER_S
        except StateError as error:
            _LOG.warning("%s; trying again later", error)
            wait_s = _RETRY_S
