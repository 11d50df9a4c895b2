"""`python -m tests.faults`: every fault there is, as a table and as build/faults.json; exit 1 if one did harm."""

from __future__ import annotations

import queue
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console

from tests.faults.certificates import RENEWAL, enrolment_experiments, renewal_trials
from tests.faults.crash_points import POINTS, crash_trials, event_trials
from tests.faults.deployment import Deployment
from tests.faults.network import network_trials
from tests.faults.power_cuts import power_cut_trials
from tests.faults.scenarios import SCENARIOS
from tests.faults.storms import storm_trials
from tests.faults.table import Row, print_rows, rows_of, write_rows
from tests.faults.transfers import transfer_trials
from tests.faults.trial import Experiment, Result, Trial, run, undisturbed
from tests.fuzz import table as fuzz

LANES = 2
"""Deployments side by side."""

ALL_POINTS = (*POINTS, *(strike.point for strike in RENEWAL.values()))


def kills() -> Iterator[Row]:
    """Processes killed, in deployments that are used again and again."""
    calm = (Trial("none", undisturbed, scenario) for scenario in dict.fromkeys(SCENARIOS.values()))
    trials = chain(calm, event_trials(), crash_trials(), renewal_trials(), storm_trials())
    yield from _tried(map(_experiment, trials), power_cuts=False)


def networks() -> Iterator[Row]:
    """Lines that break, in all phases, and what travels again after a break."""
    trials = chain(network_trials(), transfer_trials())
    yield from _tried(chain(enrolment_experiments(), map(_experiment, trials)), power_cuts=False)


def power_cuts() -> Iterator[Row]:
    """The power cut, everywhere."""
    yield from _tried(map(_experiment, power_cut_trials()), power_cuts=True)


PRODUCERS: list[Callable[[], Iterator[Row]]] = [kills, networks, power_cuts, fuzz.rows]
"""What the table is made of; each gives rows of its own."""


def _experiment(trial: Trial) -> Experiment:
    return partial(run, trial)


def _tried(experiments: Iterable[Experiment], *, power_cuts: bool) -> Iterator[Row]:
    waiting: queue.SimpleQueue[tuple[int, Experiment]] = queue.SimpleQueue()
    for item in enumerate(experiments):
        waiting.put(item)
    results: dict[int, Result] = {}
    with tempfile.TemporaryDirectory(prefix="edgefed-faults-") as root:
        lanes = [
            threading.Thread(target=_work_off, args=(waiting, results, Path(root, str(lane)), power_cuts))
            for lane in range(LANES)
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    yield from rows_of(results[number] for number in sorted(results))


def _work_off(
    waiting: queue.SimpleQueue[tuple[int, Experiment]], results: dict[int, Result], folder: Path, power_cuts: bool
) -> None:
    with Deployment(folder, ALL_POINTS, power_cuts=power_cuts) as deployment:
        while True:
            try:
                number, experiment = waiting.get_nowait()
            except queue.Empty:
                return
            results[number] = result = experiment(deployment)
            if result.note:
                print(f"{result.fault}: {result.note}", file=sys.stderr, flush=True)


def main() -> int:
    """Runs everything; the table goes to stdout and to build/faults.json."""
    rows = [row for produce in PRODUCERS for row in produce()]
    print_rows(rows, Console())
    write_rows(rows, Path("build/faults.json"))
    return 0 if all(row.is_good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
