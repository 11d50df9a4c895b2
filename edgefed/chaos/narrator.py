"""What a run says on stderr while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from coordinator.address import Address
from edgefed.chaos.objectives import clock
from edgefed.chaos.observations import Incident
from edgefed.chaos.plan import Planned
from edgefed.chaos.proxy import Counts

if TYPE_CHECKING:
    from edgefed.chaos.conductor import Trial


class Narrator:
    """Writes a line for everything that happens and, on a terminal, one that shows how things are; use it in `with`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")

    def __enter__(self) -> Narrator:
        self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._status.stop()

    def listening(self, address: Address, trial: Trial) -> None:
        """The proxy is there: how sites get to it."""
        dial = address.from_outside
        pace = "at the pace of real life" if trial.speed == 1 else f"{trial.speed:g} times as fast as in real life"
        self._console.print(
            f"[bold]{trial.profile.name}[/bold], seed {trial.seed}: {_duration(trial.seconds)} of faults {pace}\n"
            f"sites → [bold]{address}[/bold] → {trial.coordinator}\n"
            "Sites must dial the proxy. A new one joins through it:\n"
            f"  edgefed client join --coordinator {dial} --token TOKEN\n"
            f"One that has joined needs nothing if its coordinator's address was {dial} until now.\n"
            "Waiting for the first site; Ctrl-C ends the run with a report.",
            soft_wrap=True, highlight=False,
        )  # fmt: skip

    def mishap(self, now: float, planned: Planned, counts: Counts) -> None:
        """A mishap begins."""
        struck = f"{counts.working} connection{'s' * (counts.working != 1)}"
        self._say(now, f"[yellow]{planned.mishap.name}[/yellow] for {planned.ends - planned.begins:.1f} s, {struck}")

    def back(self, now: float, incident: Incident, took: float) -> None:
        """The connections are back after a mishap."""
        self._say(now, f"[green]back[/green] {took:.1f} s after the end of {incident.mishap}")

    def jobs(self, now: float, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """What has changed about the jobs that run."""
        for job in sorted(before.keys() | after.keys()):
            if before.get(job) != after.get(job):
                self._say(now, f"job {escape(job)}: {after.get(job, 'has ended')}")

    def settling(self, now: float, jobs: Mapping[str, str], limit_s: float) -> None:
        """No more mishaps; jobs may end."""
        self._say(now, f"no more faults; waiting up to {_duration(limit_s)} for {escape(', '.join(sorted(jobs)))}")

    def show(self, now: float, counts: Counts) -> None:
        """How things are now."""
        moved = f"{counts.bytes_up / 1e6:.1f} MB up, {counts.bytes_down / 1e6:.1f} MB down"
        self._status.update(f"{clock(now)}  {counts.working} of {counts.open} connections work, {moved}")

    def _say(self, now: float, text: str) -> None:
        self._console.print(f"{clock(now):>6}  {text}", soft_wrap=True, highlight=False)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"
