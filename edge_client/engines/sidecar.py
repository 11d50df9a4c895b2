"""What stands beside an engine, sealed with a secret of this machine: an engine that was copied here has no seal."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge_client.engines.key import EngineKey
from edge_client.state import disk_errors, write_durably
from protos.errors import IntegrityError

_SECRET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """The record of an engine.

    Attributes:
        key: what it was built from and for.
        engine_sha256: of its bytes.
        engine_bytes: how many.
        build_seconds: that building it took.
        golden: what it answered to the golden input right after it was built.
    """

    key: EngineKey
    engine_sha256: str
    engine_bytes: int
    build_seconds: float
    golden: tuple[float, ...]


_SIDECAR = TypeAdapter(Sidecar)


def sealed(sidecar: Sidecar, secret: bytes) -> bytes:
    """JSON of the record and its seal."""
    fields = asdict(sidecar)
    return json.dumps({"engine": fields, "seal": _seal(fields, secret)}, indent=1, sort_keys=True).encode()


def unsealed(data: bytes, secret: bytes) -> Sidecar:
    """The record in a sidecar's bytes.

    Raises:
        IntegrityError: they are no sidecar, or not one that was sealed with this secret.
    """
    try:
        document = json.loads(data)
        fields, seal = document["engine"], document["seal"]
        if not hmac.compare_digest(str(seal), _seal(fields, secret)):
            raise IntegrityError("it was not sealed on this machine")
        return _SIDECAR.validate_python(fields)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise IntegrityError("its record cannot be read") from error


def machine_secret(folder: Path) -> bytes:
    """The secret of a folder's engines; made where there is none, readable by its owner alone."""
    path = folder / "secret"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "secret.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of two that start here together, both have to get the same one
            if not path.exists():
                write_durably(path, os.urandom(_SECRET_BYTES), mode=0o600)
            return path.read_bytes()


def _seal(fields: object, secret: bytes) -> str:
    return hmac.digest(secret, json.dumps(fields, sort_keys=True).encode(), "sha256").hex()
