from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Engine

from coordinator.certificates import Authority, Role, open_authority
from coordinator.database import open_database
from coordinator.invitations import enrol, invite, renew
from coordinator.sites import Sites
from protos.errors import InvalidInput, Refused
from protos.invitation import Invitation


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "coordinator.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def invitation(engine: Engine, authority: Authority) -> Invitation:
    return invite(engine, authority, "plant-a", time.time() + 3600)


def request_der() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def test_token_is_traded_for_a_certificate(engine: Engine, authority: Authority, invitation: Invitation) -> None:
    pem = enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())
    role = authority.role_of(pem)
    Sites(engine).check(role)


def test_repeat_with_the_same_key_gets_the_first_answer(
    engine: Engine, authority: Authority, invitation: Invitation
) -> None:
    request = request_der()
    first = enrol(engine, authority, "plant-a", invitation.secret, request, time.time())
    assert enrol(engine, authority, "plant-a", invitation.secret, request, time.time()) == first


def test_used_token_is_refused(engine: Engine, authority: Authority, invitation: Invitation) -> None:
    enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())
    with pytest.raises(Refused, match="already used at"):
        enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())


def test_expired_token_is_refused(engine: Engine, authority: Authority, invitation: Invitation) -> None:
    with pytest.raises(Refused, match="expired at"):
        enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time() + 7200)


def test_unknown_secret_is_refused(engine: Engine, authority: Authority) -> None:
    with pytest.raises(Refused, match="has made no such token for plant-a"):
        enrol(engine, authority, "plant-a", b"\0" * 16, request_der(), time.time())


def test_token_of_another_site_is_refused(engine: Engine, authority: Authority, invitation: Invitation) -> None:
    with pytest.raises(Refused, match="has made no such token for plant-b"):
        enrol(engine, authority, "plant-b", invitation.secret, request_der(), time.time())


def test_bad_request_does_not_spend_the_token(engine: Engine, authority: Authority, invitation: Invitation) -> None:
    with pytest.raises(InvalidInput):
        enrol(engine, authority, "plant-a", invitation.secret, b"garbage", time.time())
    enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())


def test_secret_is_stored_only_as_its_hash(tmp_path: Path, engine: Engine, invitation: Invitation) -> None:
    engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("coordinator.sqlite*"))
    assert b"plant-a" in content
    assert invitation.secret not in content


def test_new_enrolment_ends_the_earlier_certificate(engine: Engine, authority: Authority) -> None:
    roles = []
    for _ in range(2):
        invitation = invite(engine, authority, "plant-a", time.time() + 60)
        pem = enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())
        roles.append(authority.role_of(pem))
    with pytest.raises(Refused, match="revoked"):
        Sites(engine).check(roles[0])
    Sites(engine).check(roles[1])


def test_renewal_leaves_the_old_certificate_good(engine: Engine, authority: Authority, invitation: Invitation) -> None:
    first = enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())
    second = renew(engine, authority, "plant-a", request_der())
    for pem in (first, second):
        Sites(engine).check(authority.role_of(pem))


def test_revoked_site_is_refused_and_listed_as_such(
    engine: Engine, authority: Authority, invitation: Invitation
) -> None:
    pem = enrol(engine, authority, "plant-a", invitation.secret, request_der(), time.time())
    Sites(engine).revoke("plant-a")
    with pytest.raises(Refused, match="the certificate of plant-a has been revoked"):
        Sites(engine).check(authority.role_of(pem))
    assert [(site.name, site.revoked) for site in Sites(engine).listing()] == [("plant-a", True)]


def test_revoking_a_stranger_is_told(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="there is no site 'plant-x'"):
        Sites(engine).revoke("plant-x")


def test_impossible_site_name_is_refused(engine: Engine, authority: Authority) -> None:
    with pytest.raises(InvalidInput, match="is not a site name"):
        invite(engine, authority, "../etc", time.time() + 60)


class Restored:
    """A database as it was when `plant-a` had one certificate, and what was issued since."""

    def __init__(self, engine: Engine, authority: Authority, tmp_path: Path) -> None:
        self.authority, self.lost = authority, open_database(tmp_path / "lost.sqlite")
        self.engine = engine
        self.first = self.enrol(engine)

    def enrol(self, engine: Engine) -> Role:
        made = invite(engine, self.authority, "plant-a", time.time() + 60)
        return self.authority.role_of(enrol(engine, self.authority, "plant-a", made.secret, request_der(), time.time()))

    def renewed_since(self) -> Role:
        return self.authority.role_of(renew(self.lost, self.authority, "plant-a", request_der()))


@pytest.fixture
def restored(
    engine: Engine, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Restored]:
    made = Restored(engine, authority, tmp_path)
    monkeypatch.setattr("coordinator.certificates.SITE_LIFE", timedelta(days=15))  # issued a day later
    yield made
    made.lost.dispose()


def test_certificate_renewed_after_the_backup_is_good_and_can_be_revoked(restored: Restored) -> None:
    role = restored.renewed_since()
    Sites(restored.engine).check(role)
    Sites(restored.engine).check(role)
    Sites(restored.engine).revoke("plant-a")
    with pytest.raises(Refused, match="revoked"):
        Sites(restored.engine).check(role)


def test_certificate_renewed_after_the_backup_ends_when_the_site_is_revoked_first(restored: Restored) -> None:
    role = restored.renewed_since()
    Sites(restored.engine).revoke("plant-a")
    with pytest.raises(Refused, match="revoked"):
        Sites(restored.engine).check(role)


def test_certificate_renewed_after_the_backup_ends_when_the_site_is_invited_again(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = restored.renewed_since()
    monkeypatch.setattr("coordinator.certificates.SITE_LIFE", timedelta(days=16))
    restored.enrol(restored.engine)
    with pytest.raises(Refused, match="revoked"):
        Sites(restored.engine).check(role)


def test_certificate_of_a_site_that_joined_after_the_backup_is_refused(
    restored: Restored, authority: Authority
) -> None:
    role = authority.role_of(authority.sign_request(request_der(), "stranger").pem)
    with pytest.raises(Refused, match="the certificate of stranger"):
        Sites(restored.engine).check(role)
