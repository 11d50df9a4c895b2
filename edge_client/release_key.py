"""The coordinator's release key as this site has pinned it: the first one that came over its verified connection."""

from __future__ import annotations

import logging
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge_client.bundle.files import SIGNATURE
from edge_client.state import write_durably
from protos.errors import IntegrityError, InvalidInput

RELEASE_KEY = "release.pem"
_LOG = logging.getLogger("edge_client")


def pinned_key(identity: Path) -> Ed25519PublicKey | None:
    """The release key in a site's identity folder; None where its coordinator gave none.

    Raises:
        IntegrityError: the file is not such a key.
    """
    path = identity / RELEASE_KEY
    try:
        return _key_in(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise IntegrityError(
            f"{path} is not a release key ({error}); remove it, and the next renewal pins the coordinator's"
        ) from error


def required_key(root: Path, bundle: Path, *, compiled_here: bool) -> Ed25519PublicKey | None:
    """The key that a bundle must be signed with before it is loaded; None where it needs no signature.

    Args:
        root: the site's state folder.
        bundle: its folder or tar file.
        compiled_here: by this site; such a one may wait for its signature while the coordinator is away, but once it
            has one, that must hold.

    Raises:
        IntegrityError: see `pinned_key`.
    """
    if compiled_here and not (bundle / SIGNATURE).exists():
        return None
    return pinned_key(root / "identity")


def key_in_file(path: Path) -> Ed25519PublicKey:
    """A release key that a person named. Raises `InvalidInput` where it is none."""
    try:
        return _key_in(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput(
            f"{path} is not an Ed25519 public key as PEM ({error}); it is release/public.pem of the coordinator's state"
        ) from error


def pin_release_key(identity: Path, pem: bytes) -> None:
    """Keeps the key that the coordinator sent, once; another one later is told and not taken.

    Args:
        identity: the site's identity folder.
        pem: what came with a certificate; empty from a coordinator without such a key.

    Raises:
        IntegrityError: what came is no such key.
        StateError: it cannot be written.
    """
    if not pem:
        return
    path = identity / RELEASE_KEY
    if not path.exists():
        try:
            _key_in(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise IntegrityError("the coordinator sent something that is not a release key") from error
        write_durably(path, pem)
    elif path.read_bytes() != pem:
        _LOG.warning(
            "the coordinator has another release key than the one that this site pinned; bundles signed with it are "
            "refused. If its operator says that it is right, remove %s: the next renewal pins the new one",
            path,
        )


def _key_in(pem: bytes) -> Ed25519PublicKey:
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("a key of another kind")
    return key
