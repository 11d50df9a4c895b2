"""From the start of a coordinator to its first answer: with a job of 1,000 rounds behind it, and with nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.peer_environments import PEERS
from benchmarks.result import Result
from coordinator import events as ev
from coordinator.database import open_database
from coordinator.state import create_state
from protos.jobs import job_from_table, job_to_json

_ROUNDS = 1_000
_SITES = tuple(f"site-{number}" for number in range(8))
_REPEATS = 5


def run() -> list[Result]:
    """Seconds until it listens."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PEERS) as folder:
        empty, full = Path(folder) / "empty", Path(folder) / "full"
        _start_s(empty)
        _write_history(full)
        seconds = [(_start_s(full), _start_s(empty)) for _ in range(_REPEATS)]
    return [
        Result(name="restart.seconds", unit="s", limit=3.0,
               peer_name=f"EdgeFed without a history; {_ROUNDS} rounds of {len(_SITES)} sites against it",
               ours=[full_s for full_s, _ in seconds], peer=[empty_s for _, empty_s in seconds]),
    ]  # fmt: skip


def _start_s(state: Path) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "edgefed", "coordinator", "start", "--json", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--state", str(state)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        seconds = time.perf_counter() - began
        process.terminate()
    return seconds


def _write_history(root: Path) -> None:
    state = create_state(root)
    open_database(state.database).dispose()
    rows = [("long", *ev.event_to_json(event)) for event in _events()]
    with closing(sqlite3.connect(state.database)) as connection, connection:
        connection.executemany("INSERT INTO events (job, kind, body) VALUES (?, ?, ?)", rows)


def _events() -> Iterator[ev.Event]:
    spec = job_from_table({"name": "long", "method": "fedavg", "rounds": {"count": _ROUNDS}}, source="the benchmark")
    yield ev.JobSubmitted(at=0.0, spec_json=job_to_json(spec), sites=_SITES)
    for site in _SITES:
        yield ev.SiteJoined(at=0.0, site=site, declaration={"width": "8"})
    for number in range(1, _ROUNDS + 1):
        at = float(number)
        yield ev.RoundOpened(at=at, round=number, sites=_SITES)
        for site in _SITES:
            digest = f"{number:032x}{hash(site) % 2**128:032x}"
            yield ev.LeaseGranted(at=at, round=number, site=site, epoch=1)
            yield ev.UpdateCommitted(at=at, round=number, site=site, epoch=1, digest=digest, weight=1.0, size=1 << 20)
        yield ev.AggregationStarted(at=at, round=number)
        yield ev.ModelPublished(at=at, round=number, digest=f"{number:064x}", size=1 << 20)
        yield ev.RoundClosed(at=at, round=number, reason=f"all {len(_SITES)} sites delivered", missing={})
    yield ev.JobEnded(at=float(_ROUNDS), outcome="finished", reason="")
