"""The enrolled sites: whether a certificate is still good, and when a site was last heard of."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Engine, func, select, update

from coordinator.database import certificates, sites, transaction
from protos.errors import InvalidInput, Refused

_TRUST_S = 1.0  # how long a look at the table counts: the chunks of an upload do not each ask the database
_SEEN_S = 10.0  # how exact `last_seen` is


@dataclass(frozen=True)
class Site:
    """An enrolled site.

    Attributes:
        name: of the site.
        last_seen: seconds since the epoch; 0 where never.
        certificate_expires: seconds since the epoch, of its latest certificate.
        revoked: none of its certificates is good any more.
    """

    name: str
    last_seen: float
    certificate_expires: float
    revoked: bool


class Sites:
    """The tables of sites and certificates; other processes may change them at any time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._checked: dict[str, float] = {}  # serial -> monotonic time at which it was found good
        self._seen: dict[str, float] = {}

    def listing(self) -> list[Site]:
        """All sites, by name."""
        latest = func.max(certificates.c.expires), func.min(certificates.c.revoked)
        query = (
            select(sites.c.site, sites.c.last_seen, *latest)
            .join(certificates, certificates.c.site == sites.c.site)
            .group_by(sites.c.site)
            .order_by(sites.c.site)
        )
        with transaction(self._engine) as connection:
            return [
                Site(name, seen, expires, bool(revoked)) for name, seen, expires, revoked in connection.execute(query)
            ]

    def check(self, site: str, serial: str) -> None:
        """Raises `Refused` unless the certificate was issued to the site and has not been revoked."""
        now = time.monotonic()
        if now - self._checked.get(serial, -_TRUST_S) < _TRUST_S:
            return
        query = select(certificates.c.revoked).where(certificates.c.serial == serial, certificates.c.site == site)
        with transaction(self._engine) as connection:
            revoked = connection.execute(query).scalar_one_or_none()
        if revoked is None or revoked:
            self._checked.pop(serial, None)
            raise Refused(
                f"the certificate of {site} has been revoked; ask the coordinator's operator to invite it again"
            )
        self._checked[serial] = now

    def seen(self, site: str) -> None:
        """Notes that a site was heard of now."""
        now = time.monotonic()
        if now - self._seen.get(site, -_SEEN_S) >= _SEEN_S:
            self._seen[site] = now
            with transaction(self._engine) as connection:
                connection.execute(update(sites).where(sites.c.site == site).values(last_seen=time.time()))

    def revoke(self, site: str) -> None:
        """Ends all certificates of a site. Raises `InvalidInput` where there is no such site."""
        with transaction(self._engine) as connection:
            query = update(certificates).where(certificates.c.site == site).values(revoked=True)
            if connection.execute(query).rowcount == 0:
                raise InvalidInput(f"there is no site {site[:80]!r}; 'edgefed coordinator sites' lists them")
