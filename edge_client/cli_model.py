"""`edgefed model`: compiled models as files that travel."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_client.bundle.bundle import Bundle

model_app = typer.Typer(no_args_is_help=True, help="Compiled models as files: export one, verify one.")

StateDir = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="A site's state folder; $XDG_STATE_HOME/edgefed/client.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@model_app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="JOB|BUNDLE", help="A job of this site, or a bundle's folder.")],
    out: Annotated[Path, typer.Option(metavar="FILE.tar", help="Must not exist.")],
    state: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a compiled model into one tar file, signed by the coordinator where it can be asked."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from edge_client.exporting import export_bundle
    from edge_client.state import default_root

    bundle, unsigned = export_bundle(state or default_root(), source, out)
    if unsigned:
        typer.echo(f"edgefed: {out} is not signed, so other sites refuse it: {unsigned}", err=True)
    _print(bundle, {"bundle": str(out), "signed": unsigned is None}, f"{out}: {_name(bundle)}", as_json=as_json)


@model_app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder or tar file.")],
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The release key; where left out, the one the site pinned.")
    ] = None,
    state: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle's signature and every file of it; the exit code is 7 where something is not as promised."""
    from edge_client.bundle.bundle import open_bundle
    from edge_client.release_key import key_in_file, pinned_key
    from edge_client.state import default_root

    pinned = pinned_key((state or default_root()) / "identity") if key is None else key_in_file(key)
    found = open_bundle(bundle, pinned)
    signature = "verified" if pinned else "not checked: no release key is known here; name it with --key"
    line = f"{bundle}: {_name(found)}; every file is as listed; signature {signature}"
    _print(found, {"bundle": str(bundle), "signature_verified": pinned is not None}, line, as_json=as_json)


def _name(bundle: Bundle) -> str:
    manifest = bundle.manifest
    return f"{manifest.job}, {manifest.precision} for {manifest.backend}, by EdgeFed {manifest.edgefed}"


def _print(bundle: Bundle, facts: dict[str, object], line: str, *, as_json: bool) -> None:
    document = {**facts, "job": bundle.manifest.job, "precision": bundle.manifest.precision, "sha256": bundle.digest}
    typer.echo(json.dumps(document) if as_json else line)
