"""Reading a coordinator's state folder; nothing in it is made or changed."""

from __future__ import annotations

import fcntl
from pathlib import Path

from cryptography import x509

from coordinator.state import open_state
from edgefed.doctor.coordinator import Coordinator
from protos.errors import StateError


def read_coordinator(root: Path) -> Coordinator:
    """A coordinator's folder. Raises `StateError` where it is none, or its CA cannot be read."""
    state = open_state(root)
    try:
        ca = x509.load_pem_x509_certificate((state.authority / "cert.pem").read_bytes())
        keys = [folder / "key.pem" for folder in (state.authority, state.operator, state.release)]
        modes = {path: path.stat().st_mode & 0o777 for path in keys if path.exists()}
        address = state.operator / "address"
        listened = address.read_text(errors="replace").strip() if address.exists() else ""
        running = _held(root / "lock")
    except (OSError, ValueError) as error:
        raise StateError(f"{root} cannot be read: {error}; restore it from a backup") from error
    return Coordinator(root, (ca.not_valid_before_utc, ca.not_valid_after_utc), modes, running, listened)


def _held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
