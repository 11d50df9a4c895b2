"""All checks, in the order of the table."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from coordinator.state import default_state
from edge_client.engines.this_device import read_device
from edge_client.state import default_root, is_site_folder
from edgefed.doctor import coordinator, machine, site, software
from edgefed.doctor.finding import Finding, fault, ok
from edgefed.doctor.read_coordinator import read_coordinator
from edgefed.doctor.read_machine import read_cpu, read_disk
from edgefed.doctor.read_site import ask_coordinator, read_site
from edgefed.doctor.read_software import read_software
from protos.errors import EdgeFedError


def examine(site_root: Path | None, coordinator_root: Path | None) -> list[Finding]:
    """Reads everything and checks it.

    Args:
        site_root: a site's state folder; None looks at the default one, where a site has joined there.
        coordinator_root: a coordinator's; None as above.
    """
    findings = environment()
    root = site_root or default_root()
    if site_root or is_site_folder(root):
        findings += _site(root)
    else:
        findings.append(ok("site", f"none has joined in {root}"))
    root = coordinator_root or default_state()
    if coordinator_root or (root / "version").exists():
        findings += _coordinator(root)
    return findings


def environment() -> list[Finding]:
    """What does not depend on a state folder."""
    installed, device = read_software(), read_device()
    jetpack = machine.jetpack(device)
    return [
        software.python(installed),
        software.torch(installed, device),
        software.onnxruntime(installed),
        *software.tensorrt(installed, device),
        machine.driver(device),
        *([jetpack] if jetpack else []),
        machine.threads(read_cpu()),
    ]


def _site(root: Path) -> list[Finding]:
    disk = machine.disk(read_disk(root))
    try:
        found, identity = read_site(root)
    except (EdgeFedError, OSError) as error:
        return [
            disk,
            fault("site", str(error), f"edgefed client join --state {root} --coordinator HOST:PORT --token T"),
        ]
    contact = asyncio.run(ask_coordinator(identity))
    now = datetime.now(UTC)
    return [
        disk,
        site.configuration(found),
        *site.weights(found),
        site.private_key(found),
        site.certificate(found, now),
        site.release_key(found),
        site.reachability(contact),
        site.clock(contact, now),
    ]


def _coordinator(root: Path) -> list[Finding]:
    disk = machine.disk(read_disk(root))
    try:
        found = read_coordinator(root)
    except EdgeFedError as error:
        return [disk, fault("coordinator state", str(error), f"edgefed coordinator restore BACKUP.tar --state {root}")]
    now = datetime.now(UTC)
    return [disk, coordinator.authority(found, now), coordinator.private_keys(found), coordinator.process(found)]
