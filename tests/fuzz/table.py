"""Everything that is fuzzed, as rows of the fault table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

from tests.faults.table import Row
from tests.fuzz.connections import run_connections
from tests.fuzz.families import families
from tests.fuzz.requests import run_requests
from tests.fuzz.trials import GOOD, Tally, run

REQUESTS = 10_000
CONNECTIONS = 400


def everything() -> dict[str, Callable[[], Tally]]:
    """The full run of each: parsers one by one, then a coordinator process as a whole."""
    parsers = {name: partial(run, family, family.full) for name, family in families().items()}
    whole = {"requests": partial(run_requests, REQUESTS), "connections": partial(run_connections, CONNECTIONS)}
    return {**parsers, **whole}


def row_of(tally: Tally) -> Row:
    """What came of a family's cases, as one row.

    Trials are cases; completed ended in a valid value or in one of our errors. Lost are crashes: another exception, the
    end of the process, a traceback in a log. Wrong bytes are hangs of over a second and memory beyond the bound.
    Recovery is the slowest case.
    """
    trials, good = tally.outcomes.total(), sum(tally.outcomes[outcome] for outcome in GOOD)
    crashed = tally.outcomes["crashed"] + tally.outcomes["ended"]
    return Row(f"fuzz: {tally.family}", trials, good, crashed, 0, trials - good - crashed, tally.slowest_s)


def rows() -> Iterator[Row]:
    """A row each; cases that went wrong are told on stderr, and `python -m tests.fuzz FAMILY NUMBER` shows one."""
    for trial in everything().values():
        tally = trial()
        print(*tally.faults, sep="\n", end="\n" * bool(tally.faults), file=sys.stderr)
        yield row_of(tally)
