"""`SHA256SUMS`: one digest for every file of a bundle, in the form that `sha256sum --check` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from edge_client.bundle.files import SUMS, UNLISTED, kind_of
from protos.errors import IntegrityError
from protos.sums import read_sums


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """The list over all files but those that are not listed, sorted by name."""
    listed = sorted(files.keys() - UNLISTED)
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in listed).encode()


def check_sums(files: Mapping[str, bytes]) -> None:
    """Holds every file against the list.

    Raises:
        IntegrityError: a file is missing, is not listed, or is another one than the list promises.
    """
    again = "get the bundle again, or compile the model again"
    if missing := sorted((kind_of(files).required | {SUMS}) - files.keys()):
        raise IntegrityError(f"the bundle lacks {', '.join(missing)}; {again}")
    promised = read_sums(files[SUMS])
    present = files.keys() - UNLISTED
    for names, fault in ((promised.keys() - present, "lacks"), (present - promised.keys(), "does not list")):
        if names:
            raise IntegrityError(f"the bundle {fault} {', '.join(sorted(names))}; {again}")
    for name, digest in sorted(promised.items()):
        if (found := hashlib.sha256(files[name]).hexdigest()) != digest:
            raise IntegrityError(f"{name} has the SHA-256 {found}, and {SUMS} promises {digest}; {again}")
