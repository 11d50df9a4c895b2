"""What `edgefed client status` and `ledger` show: read from the state folder alone, also beside a running agent."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge_client.compile_order import compile_standing
from edge_client.identity import load_identity, moment
from edge_client.job_folder import standings
from edge_client.ledger import Entry
from edge_client.outbox import Outbox
from edge_client.state import is_locked, open_state


def read_status(root: Path) -> dict[str, Any]:
    """The site's status as one JSON document. Raises `InvalidInput` or `StateError`."""
    state = open_state(root)
    identity = load_identity(state)
    return {
        "site": identity.site,
        "coordinator": identity.address,
        "state": str(root),
        "agent_running": is_locked(state),
        "certificate_expires": identity.validity[1].isoformat(),
        "current_model": state.current_model(),
        "compiled": asdict(compile_standing(root)),
        "jobs": [asdict(standing) for standing in standings(state)],
        "outbox": [
            {"job": parcel.job, "round": parcel.round, "bytes": parcel.manifest.size, "digest": parcel.manifest.digest}
            for parcel in Outbox(state.outbox).waiting()
        ],
    }


def print_status(status: dict[str, Any]) -> None:
    """Prints a status for people."""
    console = Console()
    facts = Table(show_header=False, box=None)
    expires = datetime.fromisoformat(status["certificate_expires"])
    facts.add_row("site", status["site"])
    facts.add_row("coordinator", status["coordinator"])
    facts.add_row("agent", "running" if status["agent_running"] else "not running")
    facts.add_row("certificate", f"until {moment(expires)}" + (" [red]EXPIRED[/]" * (expires < datetime.now(UTC))))
    facts.add_row("model", status["current_model"] or "none installed yet")
    facts.add_row("compiled", Text(_compiled(status["compiled"])))
    for parcel in status["outbox"]:
        facts.add_row("to be sent", f"{parcel['job']} round {parcel['round']}, {parcel['bytes']} bytes")
    console.print(facts)
    if status["jobs"]:
        jobs = Table("job", "state", "round", "since", "reason")
        for job in status["jobs"]:
            since = moment(datetime.fromtimestamp(job["time"], UTC))
            of = f" of {job['rounds']}" * bool(job["rounds"])
            jobs.add_row(job["job"], job["state"], f"{job['round']}{of}", since, Text(job["reason"]))
        console.print(jobs)


def _compiled(standing: dict[str, Any]) -> str:
    reason = f": {standing['reason']}" if standing["reason"] else ""
    if standing["state"] == "compiled":
        return f"yes{reason}"
    kept = f"; that of {standing['job']} stays on the line" if standing["job"] else ""
    return {"waiting": "not yet", "refused": "no", "not asked for": "no"}[standing["state"]] + reason + kept


def print_ledger(path: Path, entries: list[Entry]) -> None:
    """Prints the lines of a verified ledger for people."""
    console = Console()
    if not entries:
        console.print("Nothing has left this site.")
        return
    table = Table("time", "job", "round", "kind", "bytes", "digest", "coordinator")
    for entry in entries:
        kind = entry.media_type.removeprefix("application/vnd.edgefed.").removesuffix("+safetensors")
        size = f"{entry.bytes:,}"
        table.add_row(entry.time, entry.job, str(entry.round), kind, size, entry.digest[:12], entry.coordinator)
    console.print(table)
    total = sum(entry.bytes for entry in entries)
    console.print(f"{len(entries)} artifacts, {total:,} bytes. The chain holds; last hash {entries[-1].hash}")
