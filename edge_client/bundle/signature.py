"""`model.sig`: the coordinator's Ed25519 signature of SHA256SUMS, and so of every file of a bundle."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_client.bundle.files import SIGNATURE, SUMS
from protos.errors import IntegrityError


def check_signature(files: Mapping[str, bytes], key: Ed25519PublicKey) -> None:
    """Holds a bundle's signature against a key.

    Raises:
        IntegrityError: there is no signature, or it is not of this key or not of these files.
    """
    if SIGNATURE not in files:
        raise IntegrityError(f"the bundle is not signed: it lacks {SIGNATURE}; get it from your coordinator")
    try:
        key.verify(files[SIGNATURE], files.get(SUMS, b""))
    except InvalidSignature as error:
        raise IntegrityError(f"{SIGNATURE} of the bundle is not by your coordinator's release key") from error
