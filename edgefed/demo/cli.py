"""`edgefed demo`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

demo_app = typer.Typer(
    help="See it work on this machine: real data, real processes, one report.",
    no_args_is_help=False,
    invoke_without_command=True,
)

Seed = Annotated[int, typer.Option(min=0, help="Of the split, the training and the aggregation.")]
State = Annotated[Path | None, typer.Option(help="Folder of the demo; what an earlier run left there is removed.")]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON document on stdout.")]


class Split(StrEnum):
    """Which pixels are held back to test on."""

    disjoint = "disjoint"
    random = "random"


@demo_app.callback()
def default(context: typer.Context) -> None:
    """See it work on this machine: real data, real processes, one report."""
    if context.invoked_subcommand is None:
        anomaly()


@demo_app.command()
def anomaly(seed: Seed = 0, state: State = None, json: Json = False) -> None:
    """Federate three solar-cell plants: a coordinator and three sites as processes over mutual TLS."""
    from edgefed.demo.anomaly.run import run
    from edgefed.demo.folder import default_folder

    run(seed=seed, folder=state or default_folder("anomaly"), as_json=json)


@demo_app.command()
def hyperspectral(
    seed: Seed = 0,
    split: Annotated[
        Split, typer.Option(help="Test pixels in blocks apart, or at random as in papers.")
    ] = Split.disjoint,
    state: State = None,
    json: Json = False,
) -> None:
    """Federate four fields of the Indian Pines scene: a coordinator and four sites as processes over mutual TLS."""
    from edgefed.demo.folder import default_folder
    from edgefed.demo.hyperspectral.run import run

    run(seed=seed, kind=split.value, folder=state or default_folder("hyperspectral"), as_json=json)
