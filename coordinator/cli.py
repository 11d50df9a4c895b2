"""`edgefed coordinator …`: what is done on the coordinator's own machine, with its state folder at hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from coordinator.backup_cli import register

# What a command needs is imported in it: `edgefed --help` must not wait for gRPC and the database.

app = typer.Typer(no_args_is_help=True, help="Run a coordinator and decide which sites may join.")

StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="The coordinator's state folder. [default: $XDG_STATE_HOME/edgefed/coordinator]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
SiteArgument = Annotated[str, typer.Argument(help="The site's name: a-z, 0-9 and '-', as in plant-a.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@app.command()
def start(
    state: StateOption = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "0.0.0.0:7443",
    as_json: JsonOption = False,
) -> None:
    """Run the coordinator in the foreground; makes the state folder where there is none.

    Prints one line when it listens. Ctrl-C or SIGTERM stops it; jobs go on when it is started again.
    """
    import logging
    import sys

    from coordinator.address import Address, parse_address
    from coordinator.server import serve
    from coordinator.state import default_state

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    root = state or default_state()

    def announce(address: Address) -> None:
        document = json.dumps({"listening": str(address), "state": str(root)})
        print(document if as_json else f"listening on {address}, state in {root}", flush=True)

    if code := serve(root, parse_address(listen), announce):
        raise typer.Exit(code)


@app.command()
def invite(
    site: SiteArgument,
    state: StateOption = None,
    expires_in: Annotated[
        str, typer.Option(metavar="TIME", help="How long the token can be used: 90s, 30m, 24h or 7d.")
    ] = "24h",
    as_json: JsonOption = False,
) -> None:
    """Invite a site: prints the one line to paste there. The token in it works once."""
    import time

    from coordinator.address import read_address
    from coordinator.certificates import open_authority
    from coordinator.database import open_database
    from coordinator.invitations import invite as make_invitation
    from coordinator.state import default_state, open_state
    from protos.invitation import encode_token

    folder = open_state(state or default_state())
    address = read_address(folder.operator / "address").from_outside
    authority = open_authority(folder.authority)
    expires = time.time() + duration_s(expires_in)
    invitation = make_invitation(open_database(folder.database), authority, site, expires)
    token = encode_token(invitation)
    document = {"site": site, "coordinator": str(address), "token": token, "expires": invitation.expires}
    line = f"edgefed client join --coordinator {address} --token {token}"
    print(json.dumps(document) if as_json else line)


@app.command()
def sites(state: StateOption = None, as_json: JsonOption = False) -> None:
    """List the enrolled sites: when each was last heard of and until when its certificate is good."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table

    from coordinator.database import open_database
    from coordinator.sites import Sites
    from coordinator.state import default_state, open_state

    listing = Sites(open_database(open_state(state or default_state()).database)).listing()
    if as_json:
        print(json.dumps({"sites": [asdict(site) for site in listing]}))
        return
    table = Table("site", "last seen", "certificate until", "")
    for site in listing:
        seen, until = (
            datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC") if moment else "never"
            for moment in (site.last_seen, site.certificate_expires)
        )
        table.add_row(site.name, seen, until, "revoked" if site.revoked else "")
    Console().print(table)


@app.command()
def revoke(site: SiteArgument, state: StateOption = None, as_json: JsonOption = False) -> None:
    """End a site's certificates at once; a new invitation lets it in again."""
    from coordinator.database import open_database
    from coordinator.sites import Sites
    from coordinator.state import default_state, open_state

    Sites(open_database(open_state(state or default_state()).database)).revoke(site)
    print(json.dumps({"site": site, "revoked": True}) if as_json else f"{site} is revoked")


register(app)


def duration_s(text: str) -> float:
    """Seconds in a time such as 90s, 30m, 24h or 7d. Raises `InvalidInput`."""
    from protos.errors import InvalidInput

    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if found is None or int(found[1]) == 0:
        raise InvalidInput(f"{text[:40]!r} is not a time: write a number and s, m, h or d, as in 24h")
    return float(int(found[1]) * _UNITS[found[2]])
