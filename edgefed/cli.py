"""The root command: mounts what the packages below offer and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from coordinator.cli import app as coordinator_app
from coordinator.job_cli import job_app
from edge_client.cli import app as client_app
from edge_client.cli_model import model_app
from edgefed.chaos.cli import chaos
from edgefed.demo.cli import demo_app
from edgefed.doctor.cli import doctor

app = typer.Typer(
    name="edgefed",
    help="Federated learning that ends in a running model at the edge.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(demo_app, name="demo")
app.add_typer(coordinator_app, name="coordinator")
app.add_typer(job_app, name="job")
app.add_typer(client_app, name="client")
app.add_typer(model_app, name="model")
app.command(name="chaos")(chaos)
app.command(name="doctor")(doctor)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"edgefed {version('edgefed')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Federated learning that ends in a running model at the edge."""


def main() -> None:
    """Runs the command line; the exit code says what kind of error ended it (see `protos.errors`)."""
    try:
        app()
    except Exception as error:
        _report(error)


def _report(error: Exception) -> None:
    # Imported here because it loads gRPC, which `edgefed --help` does not need.
    from protos.errors import EdgeFedError

    if not isinstance(error, EdgeFedError):
        raise error
    typer.echo(f"edgefed: {error}", err=True)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
