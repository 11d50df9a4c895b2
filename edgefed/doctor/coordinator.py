"""Checks of a coordinator's state folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from edge_client.identity import moment
from edgefed.doctor.finding import Finding, fault, ok, warning

_SOON: Final = timedelta(days=180)


@dataclass(frozen=True)
class Coordinator:
    """A coordinator's state folder.

    Attributes:
        root: of it.
        validity: first and last moment of its CA's certificate.
        modes: permissions of its private keys, by path.
        running: whether a process holds the folder.
        address: HOST:PORT where it listened last, "" where it never did.
    """

    root: Path
    validity: tuple[datetime, datetime]
    modes: Mapping[Path, int]
    running: bool
    address: str


def authority(coordinator: Coordinator, now: datetime) -> Finding:
    """Whether the CA is good for as long as a site may be away."""
    start, end = coordinator.validity
    said = f"valid from {moment(start)} to {moment(end)}"
    fresh = "edgefed coordinator start --state NEW_FOLDER"
    if not start <= now < end:
        return fault("CA", f"{said}, and it is {moment(now)} here", fresh if now >= end else
                     "sudo timedatectl set-ntp true")  # fmt: skip
    return warning("CA", f"{said}: it ends soon", fresh) if end - now < _SOON else ok("CA", said)


def private_keys(coordinator: Coordinator) -> Finding:
    """Whether the keys of the CA, of the operator and of releases are their owner's alone."""
    for path, mode in sorted(coordinator.modes.items()):
        if mode & 0o077:
            return fault("coordinator keys", f"{path} can be read by others (mode {mode:04o})", f"chmod 600 {path}")
    return ok("coordinator keys", f"{len(coordinator.modes)}, readable by their owner alone")


def process(coordinator: Coordinator) -> Finding:
    """Whether a coordinator runs on the folder."""
    if coordinator.running:
        return ok(
            "coordinator process", f"runs on {coordinator.root}, at {coordinator.address or 'an unknown address'}"
        )
    mend = f"edgefed coordinator start --state {coordinator.root}"
    return warning("coordinator process", f"none runs on {coordinator.root}", mend)
