"""A run's result: for people a table, for programs a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefed.chaos.conductor import Outcome, Trial
from edgefed.chaos.objectives import Verdict
from edgefed.chaos.observations import recovery_s

_WORDS = {True: Text("pass", "green"), False: Text("FAIL", "bold red"), None: Text("not shown", "dim")}


def has_passed(verdicts: Sequence[Verdict]) -> bool | None:
    """Whether no objective was missed; None where none could be shown."""
    shown = [verdict.passed for verdict in verdicts if verdict.passed is not None]
    return all(shown) if shown else None


def document(trial: Trial, outcome: Outcome, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The whole result as JSON has it; times in seconds since the run began."""
    seen, counts = outcome.seen, outcome.counts
    return {
        "profile": trial.profile.name,
        "seed": trial.seed,
        "speed": trial.speed,
        "seconds": round(seen.ended, 1),
        "interrupted": not seen.complete,
        "passed": has_passed(verdicts),
        "objectives": [
            {"objective": verdict.objective, "passed": verdict.passed, "figure": verdict.figure} for verdict in verdicts
        ],
        "faults": [
            {"fault": incident.mishap, "began_s": round(incident.began, 1), "lifted_s": round(incident.lifted, 1),
             "recovery_s": _rounded(recovery_s(incident, seen.samples, seen.ended))}
            for incident in seen.incidents
        ],
        "connections": counts.connections,
        "bytes_up": counts.bytes_up,
        "bytes_down": counts.bytes_down,
        "struck": dict(counts.injected),
    }  # fmt: skip


def print_report(trial: Trial, outcome: Outcome, verdicts: Sequence[Verdict], console: Console) -> None:
    """Prints the verdict, each objective with its figure, and what the proxy did."""
    counts = outcome.counts
    early = "" if outcome.seen.complete else " so far; it was ended early"
    console.print(Text.assemble("\n", (trial.profile.name, "bold"), ": ", _WORDS[has_passed(verdicts)], early))
    table = Table("objective", "", "figure")
    for judged in verdicts:
        table.add_row(judged.objective, _WORDS[judged.passed], Text(judged.figure))
    console.print(table)
    times = Counter(incident.mishap for incident in outcome.seen.incidents)
    faults = ", ".join(f"{name} {number}×" for name, number in times.items()) or "no fault"
    console.print(
        f"in {outcome.seen.ended:.0f} s: {faults}\n"
        f"{counts.connections} connections, {counts.bytes_up / 1e6:.1f} MB up, {counts.bytes_down / 1e6:.1f} MB down",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
