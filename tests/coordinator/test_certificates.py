from __future__ import annotations

import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from coordinator.certificates import Authority, open_authority
from protos.errors import InvalidInput, Refused, StateError
from protos.invitation import enrolment_credentials


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("ca"))


def csr(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, **names: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(getattr(NameOID, name), value) for name, value in names.items()])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_authority_is_the_same_when_opened_again(tmp_path: Path) -> None:
    first = open_authority(tmp_path)
    assert open_authority(tmp_path).pem == first.pem
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_authority_is_whole_when_its_making_was_cut_off(tmp_path: Path) -> None:
    open_authority(tmp_path)
    (tmp_path / "cert.pem").unlink()
    again = open_authority(tmp_path)
    assert again.role_of(again.sign_request(csr(p256()), "a").pem).name == "a"


def test_damaged_authority_is_told(tmp_path: Path) -> None:
    open_authority(tmp_path)
    (tmp_path / "key.pem").write_text("garbage")
    with pytest.raises(StateError, match="cannot be read"):
        open_authority(tmp_path)


def test_site_certificate_names_the_site_and_lives_14_days(authority: Authority) -> None:
    issued = authority.sign_request(csr(p256()), "plant-a")
    role = authority.role_of(issued.pem)
    assert (role.kind, role.name, role.serial) == ("site", "plant-a", issued.serial)
    assert role.expires == pytest.approx(time.time() + 14 * 86_400, abs=60)
    certificate = x509.load_pem_x509_certificate(issued.pem)
    assert certificate.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)


def test_names_in_the_request_are_ignored(authority: Authority) -> None:
    request = csr(p256(), COMMON_NAME="operator", ORGANIZATIONAL_UNIT_NAME="operator")
    role = authority.role_of(authority.sign_request(request, "plant-a").pem)
    assert (role.kind, role.name) == ("site", "plant-a")


@pytest.mark.parametrize(
    "request_der",
    [b"", b"garbage", csr(rsa.generate_private_key(65537, 2048)), csr(ec.generate_private_key(ec.SECP384R1()))],
    ids=["empty", "garbage", "rsa", "p384"],
)
def test_unusable_request_is_refused(authority: Authority, request_der: bytes) -> None:
    with pytest.raises(InvalidInput, match="certificate request"):
        authority.sign_request(request_der, "plant-a")


def test_request_signed_by_another_key_is_refused(authority: Authority) -> None:
    request = bytearray(csr(p256()))
    request[-1] ^= 1
    with pytest.raises(InvalidInput, match="certificate request"):
        authority.sign_request(bytes(request), "plant-a")


def test_operator_is_told_from_sites(authority: Authority) -> None:
    assert authority.role_of(authority.issue_operator(p256())).kind == "operator"


def test_enrolment_certificate_is_only_that(authority: Authority) -> None:
    assert authority.role_of(enrolment_credentials(authority.compressed_key)[1]).kind == "enrolment"


def test_certificate_of_another_coordinator_is_refused_though_it_says_the_same(
    authority: Authority, tmp_path: Path
) -> None:
    other = open_authority(tmp_path)
    for pem in (other.sign_request(csr(p256()), "plant-a").pem, other.issue_operator(p256())):
        with pytest.raises(Refused, match="not one of a site or an operator"):
            authority.role_of(pem)


def test_server_certificate_is_no_client_certificate(authority: Authority) -> None:
    with pytest.raises(Refused):
        authority.role_of(authority.issue_server("127.0.0.1")[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "coordinator.example"])
def test_server_certificate_carries_the_fixed_name_and_the_host(authority: Authority, host: str) -> None:
    leaf = x509.load_pem_x509_certificate(authority.issue_server(host)[1])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "edgefed-coordinator" in names.get_values_for_type(x509.DNSName)
    assert host in [str(name.value) for name in names]


def test_request_of_a_kind_that_nobody_knows_is_told(authority: Authority) -> None:
    der = csr(p256())
    id_ec_public_key = bytes.fromhex("06072a8648ce3d0201")
    unknown = der.replace(id_ec_public_key, id_ec_public_key[:-1] + b"\x7f")
    of_version_8 = der.replace(b"\x02\x01\x00\x30", b"\x02\x01\x07\x30", 1)
    for request in (unknown, of_version_8):
        with pytest.raises(InvalidInput, match="cannot be read"):
            authority.sign_request(request, "plant-a")
