"""Who a site is: its key, its certificate, the CA it trusts and the coordinator it belongs to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import TypeAdapter

from edge_client.state import SiteState, write_durably
from protos.errors import InvalidInput, Refused, StateError, Unavailable
from protos.invitation import BACK_DATED, check_site_name

CLOCK_TOLERANCE = timedelta(minutes=5)
_COORDINATOR = TypeAdapter(dict[str, str])


@dataclass(frozen=True)
class Identity:
    """A site's identity; everything but `key_pem` is public.

    Attributes:
        site: its name.
        address: HOST:PORT of its coordinator.
        key_pem: its private key.
        certificate_pem: its certificate.
        ca_pem: the CA that signs for the coordinator.
    """

    site: str
    address: str
    key_pem: bytes
    certificate_pem: bytes
    ca_pem: bytes

    @property
    def validity(self) -> tuple[datetime, datetime]:
        """The first and the last moment of the certificate's life."""
        certificate = x509.load_pem_x509_certificate(self.certificate_pem)
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def check_validity(identity: Identity, now: datetime) -> None:
    """Holds a certificate against the clock; the messages say both times.

    Raises:
        Refused: it has expired.
        Unavailable: it is not valid yet, so the clock is behind; many devices get the time only after they start.
    """
    start, end = identity.validity
    if now >= end:
        raise Refused(
            f"the certificate of {identity.site} expired at {moment(end)}; this machine's clock says {moment(now)}. "
            "If the clock is right, ask for a new invitation and join again"
        )
    if now < start:
        raise Unavailable(
            f"the certificate of {identity.site} is valid from {moment(start)}, but this machine's clock says "
            f"{moment(now)}; set the clock"
        )


def clock_warning(coordinator: datetime, here: datetime) -> str | None:
    """What to say about two clocks that are too far apart, or None."""
    if abs(coordinator - here) <= CLOCK_TOLERANCE:
        return None
    return f"this machine's clock says {moment(here)}, the coordinator's {moment(coordinator)}; set the wrong one"


def enrolment_clock_warning(identity: Identity, now: datetime) -> str | None:
    """The same for a certificate that has just been issued: it tells the coordinator's clock."""
    return clock_warning(identity.validity[0] + BACK_DATED, now)


def moment(time: datetime) -> str:
    """A time as people read it, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def load_identity(state: SiteState) -> Identity:
    """Reads the identity that `join` wrote. Raises `StateError` where it cannot."""
    folder = state.identity
    try:
        coordinator = _COORDINATOR.validate_json((folder / "coordinator.json").read_bytes())
        identity = Identity(
            site=check_site_name(coordinator["site"]),
            address=coordinator["address"],
            key_pem=(folder / "key.pem").read_bytes(),
            certificate_pem=(folder / "cert.pem").read_bytes(),
            ca_pem=(folder / "ca.pem").read_bytes(),
        )
        _ = identity.validity
        load_pem_private_key(identity.key_pem, password=None)
        x509.load_pem_x509_certificate(identity.ca_pem)
    except (OSError, ValueError, KeyError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, InvalidInput) as error:
        raise StateError(f"the identity in {folder} cannot be read ({error}); restore it or join again") from error
    return identity


def save_identity(folder: Path, identity: Identity) -> None:
    """Writes an identity into an existing folder, the key readable by its owner alone."""
    coordinator = {"address": identity.address, "site": identity.site}
    write_durably(folder / "key.pem", identity.key_pem, mode=0o600)
    write_durably(folder / "cert.pem", identity.certificate_pem)
    write_durably(folder / "ca.pem", identity.ca_pem)
    write_durably(folder / "coordinator.json", json.dumps(coordinator).encode())
