"""Checks of a site's state folder, and of its coordinator as far as it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from edge_client.identity import clock_warning, moment
from edgefed.doctor.finding import Finding, fault, ok, warning


@dataclass(frozen=True)
class Site:
    """A site's state folder.

    Attributes:
        root: of it.
        name: of the site.
        address: HOST:PORT of its coordinator.
        validity: first and last moment of its certificate.
        key_mode: permissions of its private key.
        release_key: whether its coordinator's release key is pinned.
        release_key_trouble: what is wrong with the pinned key, "" where nothing is.
        configuration: what is wrong with `site.toml`, "" where nothing is.
        weights: for each backbone of `site.toml` its file, and what is wrong with it, "" where nothing is.
    """

    root: Path
    name: str
    address: str
    validity: tuple[datetime, datetime]
    key_mode: int
    release_key: bool
    release_key_trouble: str = ""
    configuration: str = ""
    weights: Mapping[str, tuple[Path, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Contact:
    """What became of a hello to the coordinator.

    Attributes:
        address: HOST:PORT that was asked.
        trouble: why there was no answer, "" where there was one.
        software: that answered.
        clock: of the coordinator, when it answered; None without an answer.
        took_ms: for connection, handshake and answer.
    """

    address: str
    trouble: str = ""
    software: str = ""
    clock: datetime | None = None
    took_ms: float = 0.0


def configuration(site: Site) -> Finding:
    """Whether `site.toml` can be read."""
    if site.configuration:
        return fault("site.toml", site.configuration, f"${{EDITOR:-nano}} {site.root / 'site.toml'}")
    return ok("site.toml", str(site.root / "site.toml"))


def certificate(site: Site, now: datetime) -> Finding:
    """Whether the site's certificate is good, and is being renewed: an agent does that at two thirds of its life."""
    start, end = site.validity
    said = f"of {site.name}, valid from {moment(start)} to {moment(end)}"
    if now >= end:
        return fault("certificate", f"{said}: expired", f"edgefed coordinator invite {site.name}")
    if now < start:
        return fault("certificate", f"{said}: this machine's clock is behind", "sudo timedatectl set-ntp true")
    if now > start + (end - start) * 5 / 6:
        return warning("certificate", f"{said}: no agent renews it", f"edgefed client run --state {site.root}")
    return ok("certificate", said)


def private_key(site: Site) -> Finding:
    """Whether the site's key is its owner's alone."""
    path = site.root / "identity" / "key.pem"
    if site.key_mode & 0o077:
        return fault("private key", f"{path} can be read by others (mode {site.key_mode:04o})", f"chmod 600 {path}")
    return ok("private key", f"readable by its owner alone (mode {site.key_mode:04o})")


def release_key(site: Site) -> Finding:
    """Whether bundles can be held against the coordinator's release key."""
    if site.release_key_trouble:
        return fault("release key", site.release_key_trouble, f"rm {site.root / 'identity' / 'release.pem'}")
    if site.release_key:
        return ok("release key", "pinned; bundles from elsewhere must be signed with it")
    return warning(
        "release key", "none is pinned, so no bundle's signature is checked; the next renewal brings one",
        f"edgefed client run --state {site.root}",
    )  # fmt: skip


def weights(site: Site) -> list[Finding]:
    """One line for each backbone that the site's configuration names."""
    return [
        fault(f"weights {name}", trouble, f"cp THE_RIGHT_FILE {path}") if trouble
        else ok(f"weights {name}", f"{path} has the promised SHA-256")
        for name, (path, trouble) in sorted(site.weights.items())
    ]  # fmt: skip


def reachability(contact: Contact) -> Finding:
    """Whether the coordinator answered to the site's own identity."""
    if contact.trouble:
        host = contact.address.rpartition(":")[0]
        return fault("coordinator", contact.trouble, f"ssh {host} sudo systemctl start edgefed-coordinator")
    return ok("coordinator", f"{contact.software} at {contact.address} answered in {contact.took_ms:.0f} ms")


def clock(contact: Contact, now: datetime) -> Finding:
    """Whether this machine's clock is the coordinator's."""
    if contact.clock is None:
        return ok("clock", f"{moment(now)}; not compared, for the coordinator did not answer")
    if apart := clock_warning(contact.clock, now):
        return fault("clock", apart, "sudo timedatectl set-ntp true")
    return ok("clock", f"{abs((now - contact.clock).total_seconds()):.1f} s from the coordinator's")
