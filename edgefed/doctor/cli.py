"""`edgefed doctor`: one line for each check, and for each fault the one command that mends it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgefed.doctor.finding import Finding

BLOCKED = 4  # something that is set up here cannot work
_COLOURS = {"ok": "green", "warning": "yellow", "fault": "bold red"}


def doctor(
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="A site's state folder; $XDG_STATE_HOME/edgefed/client."),
    ] = None,
    coordinator_state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A coordinator's; $XDG_STATE_HOME/edgefed/coordinator.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Look at this machine, its site and its coordinator: what works, what does not, and what mends it.

    The exit code is 4 where there is a fault. State folders at the default places are looked at where they exist.
    """
    # Before gRPC is loaded: a coordinator that is away is told in one line of our own.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from edgefed.doctor.examine import examine

    findings = examine(state, coordinator_state)
    faults = sum(finding.status == "fault" for finding in findings)
    if as_json:
        print(json.dumps({"faults": faults, "findings": [asdict(finding) for finding in findings]}))
    else:
        _print(findings)
    if faults:
        raise typer.Exit(BLOCKED)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        said = Text(finding.message)
        if finding.mend:
            said.append(f"\n{finding.mend}", style="cyan")
        table.add_row(Text(finding.status, style=_COLOURS[finding.status]), finding.check, said)
    Console().print(table)
