"""Everything that is fuzzed, as rows of the fault table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.fuzz.connections import run_connections
from tests.fuzz.families import families
from tests.fuzz.requests import run_requests
from tests.fuzz.trials import Tally, run

REQUESTS = 10_000
CONNECTIONS = 400


def everything() -> dict[str, Callable[[], Tally]]:
    """The full run of each: parsers one by one, then a coordinator process as a whole."""
    parsers = {name: partial(run, family, family.full) for name, family in families().items()}
    whole = {"requests": partial(run_requests, REQUESTS), "connections": partial(run_connections, CONNECTIONS)}
    return {**parsers, **whole}


def rows() -> Iterator[dict[str, Any]]:
    """A row each. Trials are cases, completed ended in a valid value or in one of our errors.

    Lost are crashes (any other exception, an end of the process, a traceback in a log), wrong bytes are hangs of over a
    second and memory beyond the bound; recovery is the slowest case. The lines of what went wrong are under "faults".
    """
    for trial in everything().values():
        tally = trial()
        yield {**tally.row(), "faults": tally.faults}
