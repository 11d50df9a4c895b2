"""The folder in which a site comes to be: all of it or nothing, and never two keys for one token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_client.state import write_durably
from protos.errors import StateError, Unavailable
from protos.invitation import Invitation, private_key_pem

STAGING = ".joining"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A folder within `root`, on the same disk; after a failure neither it nor what was new of `root` is left.

    Only where the coordinator could not be reached, or this process was killed, does the key stay that was sent with
    the token: the token may be spent, and the same key gets the same answer again.

    Raises:
        StateError: the folder cannot be made.
    """
    existed = root.exists()
    folder = root / STAGING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _empty(root, but_keys=True)  # of what a join that was killed has left
    except OSError as error:
        raise StateError(f"the state folder {root} cannot be made: {error.strerror}") from error
    try:
        yield folder
        shutil.rmtree(folder)
    except BaseException as error:
        sent = isinstance(error, Unavailable) and any(folder.glob("*.key"))
        _empty(root, but_keys=sent)
        if not existed and not sent:
            root.rmdir()
        raise


def key_for(folder: Path, invitation: Invitation) -> ec.EllipticCurvePrivateKey:
    """The key that a token is traded with: the one that was sent before, or a new one, written down first.

    Raises:
        StateError: the folder cannot be written.
    """
    path = folder / f"{sha256(invitation.secret).hexdigest()[:32]}.key"
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    key = ec.generate_private_key(ec.SECP256R1())
    write_durably(path, private_key_pem(key), mode=0o600)
    return key


def move_in(folder: Path, root: Path) -> None:
    """Moves what was made in the folder, but for keys of tokens, to its place."""
    for entry in folder.iterdir():
        if entry.suffix != ".key":
            entry.rename(root / entry.name)


def _empty(root: Path, *, but_keys: bool = False) -> None:
    for entry in root.iterdir():
        if but_keys and entry.name == STAGING:
            _empty(entry, but_keys=True)
        elif not (but_keys and entry.suffix == ".key"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
