"""`edgefed demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

demo_app = typer.Typer(
    help="See it work on this machine: real data, real processes, one report.",
    no_args_is_help=False,
    invoke_without_command=True,
)


@demo_app.callback()
def default(context: typer.Context) -> None:
    """See it work on this machine: real data, real processes, one report."""
    if context.invoked_subcommand is None:
        anomaly()


@demo_app.command()
def anomaly(
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the training and the aggregation.")] = 0,
    state: Annotated[
        Path | None, typer.Option(help="Folder of the demo; what an earlier run left there is removed.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON document on stdout.")] = False,
) -> None:
    """Federate three solar-cell plants: a coordinator and three sites as processes over mutual TLS."""
    from edgefed.demo.anomaly import default_folder, run

    run(seed=seed, folder=state or default_folder(), as_json=json)
