"""`model.sig`: the coordinator's Ed25519 signature of SHA256SUMS, and so of every file of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge_client.bundle.files import SIGNATURE, SUMS
from protos.errors import IntegrityError

RELEASE_KEY = "release.pem"


def pinned_key(identity: Path) -> Ed25519PublicKey | None:
    """The release key that the coordinator gave to this site, from its identity folder; None where it gave none.

    Raises:
        IntegrityError: the file is not such a key.
    """
    path = identity / RELEASE_KEY
    try:
        key = load_pem_public_key(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise IntegrityError(f"{path} is not a release key; run `edgefed client join` again") from error
    if not isinstance(key, Ed25519PublicKey):
        raise IntegrityError(f"{path} is not an Ed25519 key; run `edgefed client join` again")
    return key


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
