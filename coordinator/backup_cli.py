"""`edgefed coordinator backup` and `restore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar", help="Where to write it; it must not exist.")],
    state: Annotated[
        Path | None,
        typer.Option("--state", help="The coordinator's state folder. [default: $XDG_STATE_HOME/edgefed/coordinator]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Write a backup, also while the coordinator runs, and check it."""
    from coordinator.backup import back_up
    from coordinator.state import default_state, open_state

    index = back_up(open_state(state or default_state()), file)
    typer.echo(
        f"edgefed: {file} holds the key of the certificate authority: keep it where nobody else can read it", err=True
    )
    size = file.stat().st_size
    if as_json:
        print(json.dumps({"backup": str(file), "made_at": index.made_at, "bytes": size, "files": len(index.files)}))
    else:
        print(f"{file}: {len(index.files)} files, {size / 1e6:.1f} MB, checked")


def restore(
    backup: Annotated[Path, typer.Argument(metavar="FILE.tar", help="What 'edgefed coordinator backup' wrote.")],
    state: Annotated[Path, typer.Option("--state", help="The folder to make; it must be empty or not be there.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Make a state folder from a backup, once every digest in it is right."""
    from coordinator.restore import restore as restore_backup

    index = restore_backup(backup, state)
    if as_json:
        print(json.dumps({"state": str(state), "made_at": index.made_at, "files": len(index.files)}))
        return
    print(f"{state} is the state of {index.made_at}. Start the coordinator on it, at the address that the sites know.")
    print("What was decided since is not in it: revoke again who was revoked, invite again who joined, submit jobs.")
