"""One process at a time compiles in a state folder: a person's, or the agent's."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_client.state import disk_errors, open_state
from protos.errors import StateError

FILE = "compile.lock"


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Holds the lock of a state folder; it goes with the process, however that ends.

    Raises:
        InvalidInput: no site has joined there.
        StateError: another process has it, or the folder cannot be written.
    """
    path = open_state(root).root / FILE
    with disk_errors(root):
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"another process compiles in {root}, as the agent does after a job; wait") from error
        yield
