"""How many cores a site gives to training and judging."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits

from protos.errors import InvalidInput

VARIABLE = "EDGEFED_THREADS"
_MOST = 1024


def asked_threads() -> int | None:
    """`EDGEFED_THREADS`, or None where it is not set.

    Raises:
        InvalidInput: the variable is not a whole number from 1 to 1024.
    """
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return None
    if not (asked.isascii() and asked.isdigit() and len(asked) < 20 and 1 <= int(asked) <= _MOST):
        raise InvalidInput(f"{VARIABLE} is {asked[:20]!r}; it takes a whole number from 1 to {_MOST}")
    return int(asked)


def bound_threads() -> None:
    """Holds numerical libraries to `EDGEFED_THREADS` threads, where it is set; call it before torch is imported.

    Raises:
        InvalidInput: see `asked_threads`.
    """
    asked = asked_threads()
    if asked is None:
        return
    # What comes later, as torch, reads the variable; what is loaded already is limited in place.
    os.environ["OMP_NUM_THREADS"] = str(asked)
    threadpool_limits(asked)
