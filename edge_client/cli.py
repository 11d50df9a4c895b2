"""`edgefed client`: what a site's people type."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from edge_client.cli_bench import bench
from edge_client.cli_compile import compile_
from edge_client.cli_cube import train
from edge_client.cli_detect import register
from edge_client.cli_serve import serve

# What a command needs is imported in it: an agent stays small, and `--help` is quick.

app = typer.Typer(no_args_is_help=True, help="A site: join a coordinator, train, and run the model.")

StateDir = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="State folder; $XDG_STATE_HOME/edgefed/client.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def join(
    coordinator: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the coordinator listens.")],
    token: Annotated[str, typer.Option(help="The line that `edgefed coordinator invite` printed.")],
    state: StateDir = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR-OR-CUBE", help="Images in MVTec layout, or a cube; for site.toml.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Labels of the cube.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key here, trade the token for a certificate, and write the site's state folder."""
    from datetime import UTC, datetime

    from edge_client.config import data_at
    from edge_client.enrolment import join as join_coordinator
    from edge_client.identity import enrolment_clock_warning, moment

    root = _root(state)
    identity = join_coordinator(root, coordinator, token, data=data_at(data, labels))
    warning = enrolment_clock_warning(identity, datetime.now(UTC))
    if warning:
        typer.echo(f"edgefed: {warning}", err=True)
    expires = identity.validity[1]
    if as_json:
        document = {"site": identity.site, "coordinator": coordinator, "state": str(root)}
        typer.echo(json.dumps({**document, "certificate_expires": expires.isoformat()}))
        return
    typer.echo(f"{identity.site} has joined {coordinator}; its certificate is valid to {moment(expires)}.")
    typer.echo(f"Next: look at {root / 'site.toml'}, then `edgefed client run --state {root}`.")


@app.command()
def run(state: StateDir = None) -> None:
    """Run the agent in the foreground, until SIGTERM or Ctrl-C; it logs to stderr."""
    # Before gRPC is loaded: of a coordinator that is away the agent speaks once, gRPC itself at every attempt.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from edge_client.service import serve

    serve(_root(state))


@app.command()
def status(state: StateDir = None, as_json: AsJson = False) -> None:
    """Show the site, its certificate, its jobs, its model, and what waits to be sent."""
    from edge_client.status import print_status, read_status

    found = read_status(_root(state))
    if as_json:
        typer.echo(json.dumps(found))
    else:
        print_status(found)


@app.command()
def ledger(state: StateDir = None, as_json: AsJson = False) -> None:
    """Verify and show the record of every artifact that left this site."""
    from dataclasses import asdict

    from edge_client.ledger import read_ledger
    from edge_client.state import open_state
    from edge_client.status import print_ledger

    opened = open_state(_root(state))
    entries = read_ledger(opened.ledger)
    if as_json:
        typer.echo(json.dumps({"verified": True, "entries": [asdict(entry) for entry in entries]}))
    else:
        print_ledger(opened.ledger, entries)


@app.command()
def leave(
    job: Annotated[str, typer.Argument(help="The job's name, as in `edgefed client status`.")],
    reason: Annotated[str, typer.Option(help="Why; the coordinator's operator reads it.")] = "by its own decision",
    state: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Leave a job, at once; what was delivered stays delivered. The coordinator's operator can invite again."""
    import asyncio

    from edge_client.leaving import leave_job

    asyncio.run(leave_job(_root(state), job, reason))
    typer.echo(json.dumps({"job": job, "left": True}) if as_json else f"left job {job}")


app.command()(bench)
app.command()(train)
register(app)
app.command("compile")(compile_)
app.command()(serve)


def _root(state: Path | None) -> Path:
    from edge_client.state import default_root

    return state or default_root()
