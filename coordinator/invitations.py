"""One-time invitations and what becomes of them: the certificates of the sites."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import Connection, Engine, insert, select, update

from coordinator.certificates import Authority, Issued, same_key
from coordinator.database import certificates, invitations, sites, transaction
from protos.errors import Refused
from protos.invitation import SECRET_BYTES, Invitation, check_site_name


def invite(engine: Engine, authority: Authority, site: str, expires: float) -> Invitation:
    """Makes and records an invitation of a site. `expires` in seconds since the epoch.

    Raises:
        InvalidInput: the name cannot be a site's.
    """
    invitation = Invitation(
        check_site_name(site), secrets.token_bytes(SECRET_BYTES), authority.compressed_key, int(expires)
    )
    row = {"secret_hash": sha256(invitation.secret).digest(), "site": site, "expires": invitation.expires}
    with transaction(engine) as connection:
        connection.execute(insert(invitations).values(row))
    return invitation


def enrol(engine: Engine, authority: Authority, site: str, secret: bytes, csr_der: bytes, now: float) -> bytes:
    """Trades an invitation's secret for a site certificate (PEM); earlier certificates of the site end.

    A repeat with the same key gets the same certificate, so that a lost answer costs nothing.

    Raises:
        InvalidInput: the certificate request cannot be used.
        Refused: the secret is unknown, expired, already used, or made for another site.
    """
    issued = authority.sign_request(csr_der, site)
    with transaction(engine) as connection:
        secret_hash = sha256(secret).digest()
        query = select(invitations).where(invitations.c.secret_hash == secret_hash)
        row = connection.execute(query).one_or_none()
        if row is None or row.site != site:
            raise Refused(f"this coordinator has made no such token for {site}; ask its operator for one")
        if row.used_at is not None:
            if (first := _first_answer(connection, row.serial, issued.pem)) is not None:
                return first
            raise Refused(f"the token for {site} was already used at {_when(row.used_at)}; ask for a new one")
        if now >= row.expires:
            raise Refused(f"the token for {site} expired at {_when(row.expires)}; ask for a new one")
        connection.execute(update(certificates).where(certificates.c.site == site).values(revoked=True))
        _record(connection, site, issued)
        used = {"used_at": now, "serial": issued.serial}
        connection.execute(update(invitations).where(invitations.c.secret_hash == secret_hash).values(used))
        if connection.execute(select(sites).where(sites.c.site == site)).one_or_none() is None:
            connection.execute(insert(sites).values(site=site, last_seen=0.0))
    return issued.pem


def renew(engine: Engine, authority: Authority, site: str, csr_der: bytes) -> bytes:
    """A fresh certificate (PEM) for an enrolled site; the old one stays good until it expires."""
    issued = authority.sign_request(csr_der, site)
    with transaction(engine) as connection:
        _record(connection, site, issued)
    return issued.pem


def _record(connection: Connection, site: str, issued: Issued) -> None:
    row = {"serial": issued.serial, "site": site, "expires": issued.expires, "revoked": False, "pem": issued.pem}
    connection.execute(insert(certificates).values(row))


def _first_answer(connection: Connection, serial: str, pem: bytes) -> bytes | None:
    query = select(certificates.c.pem).where(certificates.c.serial == serial, ~certificates.c.revoked)
    first: bytes | None = connection.execute(query).scalar_one_or_none()
    return first if first is not None and same_key(first, pem) else None


def _when(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
