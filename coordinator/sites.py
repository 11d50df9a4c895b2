"""The enrolled sites: whether a certificate is still good, and when a site was last heard of."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from sqlite3 import DatabaseError

from sqlalchemy import Connection, Engine, PoolProxiedConnection, func, insert, select, update

from coordinator.certificates import Role
from coordinator.database import certificates, sites, transaction
from protos.errors import InvalidInput, Refused, StateError

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

    def check(self, role: Role) -> None:
        """Raises `Refused` unless the certificate was issued to its site and has not been revoked."""
        now = time.monotonic()
        if now - self._checked.get(role.serial, -_TRUST_S) < _TRUST_S:
            return
        self._checked.pop(role.serial, None)
        with transaction(self._engine) as connection:
            if not _is_good(connection, role):
                raise refusal(role)
        self._checked[role.serial] = now

    def revoked(self, serials: Collection[str]) -> set[str]:
        """Those certificates that have been revoked."""
        query = select(certificates.c.serial).where(certificates.c.revoked, certificates.c.serial.in_(serials))
        with transaction(self._engine) as connection:
            ended = set(connection.execute(query).scalars())
        for serial in ended:
            self._checked.pop(serial, None)
        return ended

    def version(self) -> int:
        """Another number when anybody has written to the database, for those who watch it; cheap.

        Raises:
            StateError: the database cannot be read.
        """
        try:
            version: int = self._watching.cursor().execute("PRAGMA data_version").fetchone()[0]
        except DatabaseError as error:
            raise StateError(f"the coordinator cannot read its database: {error}") from error
        return version

    def seen(self, site: str) -> None:
        """Notes that a site was heard of now; with a full disk the note is made later."""
        now = time.monotonic()
        if now - self._seen.get(site, -_SEEN_S) >= _SEEN_S:
            self._seen[site] = now
            with suppress(StateError), transaction(self._engine) as connection:
                connection.execute(update(sites).where(sites.c.site == site).values(last_seen=time.time()))

    @cached_property
    def _watching(self) -> PoolProxiedConnection:
        # One and the same connection: it tells what others have written since it last looked.
        return self._engine.raw_connection()

    def revoke(self, site: str) -> None:
        """Ends all certificates of a site. Raises `InvalidInput` where there is no such site."""
        with transaction(self._engine) as connection:
            query = update(certificates).where(certificates.c.site == site).values(revoked=True)
            if connection.execute(query).rowcount == 0:
                raise InvalidInput(f"there is no site {site[:80]!r}; 'edgefed coordinator sites' lists them")


def refusal(role: Role) -> Refused:
    """What the holder of a revoked certificate is told."""
    return Refused(
        f"the certificate of {role.name} has been revoked; ask the coordinator's operator to invite it again"
    )


def _is_good(connection: Connection, role: Role) -> bool:
    query = select(certificates.c.serial, certificates.c.revoked, certificates.c.expires)
    known = {row.serial: row for row in connection.execute(query.where(certificates.c.site == role.name))}
    if role.serial in known:
        return not known[role.serial].revoked
    # Signed by the CA and yet unknown: the site renewed it after the backup was made that this coordinator was restored
    # from. It counts where it is newer than all that is known of the site, and no end of that has been recorded.
    latest = max(known.values(), key=lambda row: float(row.expires), default=None)
    if latest is None or latest.revoked or role.expires <= latest.expires:
        return False
    row = {"serial": role.serial, "site": role.name, "expires": role.expires, "revoked": False, "pem": role.pem}
    connection.execute(insert(certificates).values(row))
    return True
