"""`SHA256SUMS`, in the form that `sha256sum --check` reads: what a site's bundle promises and a coordinator signs."""

from __future__ import annotations

import re

from protos.errors import IntegrityError

# A bundle holds one of these: the job's global artifact, byte for byte.
MEMORY_BANK_FILE = "memory_bank.safetensors"
WEIGHTS_FILE = "weights.safetensors"
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.]{1,64})")


def read_sums(data: bytes) -> dict[str, str]:
    """Name -> SHA-256, in hex. Raises `IntegrityError` where the list is not one."""
    lines = [_LINE.fullmatch(line) for line in data.decode("ascii", errors="replace").splitlines()]
    found = {line[2]: line[1] for line in lines if line}
    if not lines or len(found) != len(lines):
        raise IntegrityError("SHA256SUMS of the bundle is damaged; get the bundle again, or compile the model again")
    return found
