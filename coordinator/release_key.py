"""The coordinator's release key: the Ed25519 key by which a site knows what its coordinator vouches for."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from coordinator.state import room_on_disk
from protos.durable import write_durably
from protos.errors import StateError


class ReleaseKey:
    """Signs bundles."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_pem(self) -> bytes:
        """The public half, which every site pins."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, sums: bytes) -> bytes:
        """The signature of a SHA256SUMS, 64 bytes."""
        return self._key.sign(sums)


def open_release_key(folder: Path) -> ReleaseKey:
    """The key in a folder, made where there is none; `public.pem` beside it is for whoever verifies by hand.

    Raises:
        StateError: it cannot be read, or there is no room for it.
    """
    path = folder / "key.pem"
    try:
        with room_on_disk("the release key"):
            if not path.exists():
                made = Ed25519PrivateKey.generate()
                pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                write_durably(path, pem, mode=0o600)
            key = load_pem_private_key(path.read_bytes(), password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise StateError(f"{path} is not an Ed25519 key; restore it from a backup")
            release = ReleaseKey(key)
            write_durably(folder / "public.pem", release.public_pem)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise StateError(f"the release key {path} cannot be used ({error}); restore it from a backup") from error
    return release
