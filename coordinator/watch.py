"""A job's progress on a terminal: one bar for the rounds, one for each site."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from coordinator.operator_channel import connect
from protos.errors import Unavailable
from protos.v1.jobs_pb2 import JobStatus, ShowJobRequest, SiteProgress

_LOG = logging.getLogger("coordinator.watch")
_PAUSE_S, _GIVE_UP_S = 1.0, 600.0
_NAME, _BAR = 12, 24  # characters; what is left of the line says what is going on


def statuses(root: Path, job: str) -> Iterator[JobStatus]:
    """A job's status now and after every change, until its end; across restarts of the coordinator.

    Raises:
        Unavailable: there is no coordinator, or the one that was there has been away for ten minutes.
        EdgeFedError: as `operator_channel.connect`.
    """
    seen: float | None = None
    while True:
        try:
            with connect(root) as stub:
                for status in stub.WatchJob(ShowJobRequest(job=job)):
                    seen = time.monotonic()
                    yield status
            return
        except Unavailable as error:
            if seen is None or time.monotonic() - seen > _GIVE_UP_S:
                raise
            _LOG.warning("%s; waiting for it", error)
            time.sleep(_PAUSE_S)


def follow(statuses: Iterable[JobStatus]) -> JobStatus:
    """Draws each status on stderr as it comes and returns the last one."""
    columns = (
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=_NAME)),
        BarColumn(bar_width=_BAR),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    last = JobStatus()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(name: str, step: int, steps: int, what: str) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(escape(name), what="")
            bars.update(tasks[name], completed=step, total=steps or None, what=escape(what))

        for last in statuses:
            closed = last.history[-1].round if last.history else 0
            draw(last.job, closed, last.rounds, f"round {last.round} of {last.rounds}  {last.reason}")
            for site in last.sites:
                draw(site.site, *_bar(site))
    return last


def _bar(site: SiteProgress) -> tuple[int, int, str]:
    if site.state == "training":
        eta = f"  {site.eta_s:.0f} s left" if site.eta_s > 0 else ""
        return site.step, site.steps, f"{site.stage or 'training'}{eta}"
    done = site.state in ("committed", "installed")
    return int(done), 1, f"{site.state}  {site.reason}".rstrip()
