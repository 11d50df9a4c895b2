"""Certificate requests at the coordinator, and what a coordinator that is none answers to a site that joins."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from coordinator.certificates import Authority, open_authority
from protos.invitation import Invitation, enrolment_credentials
from tests.fuzz.family import Family
from tests.fuzz.mutations import EDGES, bend_bytes

_DER = serialization.Encoding.DER


@cache
def _authority(folder: Path) -> Authority:
    folder.mkdir(exist_ok=True)
    return open_authority(folder)


def _requests() -> list[bytes]:
    keys = (
        ec.derive_private_key(7, ec.SECP256R1()), ec.derive_private_key(7, ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate(),
    )  # fmt: skip
    built = []
    for key in keys:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "plant-a")])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        names = x509.SubjectAlternativeName([x509.DNSName("edgefed-coordinator")])
        builder = builder.add_extension(names, critical=False)
        built.append(builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()))
    ders = [request.public_bytes(_DER) for request in built]
    version = b"\x02\x01\x00\x30"
    return [*ders, ders[0].replace(version, b"\x02\x01\x07\x30", 1)]


def _bend_der(random: Random, data: bytes) -> bytes:
    """As bytes, or the length or tag of one element; the outer lengths are those of bytes that are there."""
    if random.random() < 0.6 or len(data) < 8:
        return bend_bytes(random, data)
    at = random.randrange(len(data) - 1)
    tag = random.choice((0x02, 0x03, 0x05, 0x06, 0x0C, 0x13, 0x17, 0x30, 0x31, 0xA0, 0x80))
    length = random.choice((0, 1, 0x7F, 0x80, 0x84, 0xFF, random.choice(EDGES) % 256))
    return data[:at] + bytes([tag, length]) + data[at + 2 :]


def _take_request(data: bytes, folder: Path) -> None:
    authority = _authority(folder.parent / "ca")
    issued = x509.load_pem_x509_certificate(authority.sign_request(data, "plant-a").pem)
    units = issued.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    names = issued.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert [unit.value for unit in units] == ["site"] and [name.value for name in names] == ["plant-a"]
    assert not issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert len(issued.extensions) == 2, "nothing of a request goes into a certificate but its key"


def _answers() -> list[bytes]:
    """Certificates that stand where a joining site expects the coordinator's, as DER."""
    authority = Authority(*_self_signed())
    _, chain = authority.issue_server("127.0.0.1")
    site = authority.sign_request(_requests()[0], "plant-a").pem
    _, enrolment = enrolment_credentials(authority.compressed_key)
    pems = (chain, site, enrolment, authority.pem)
    ders = [x509.load_pem_x509_certificate(pem).public_bytes(_DER) for pem in pems]
    version, constraints = b"\xa0\x03\x02\x01\x02", bytes.fromhex("0603551d13")
    odd = [ders[0].replace(version, version[:-1] + bytes([number])) for number in (1, 3, 9, 255)]
    twice = ders[0].replace(bytes.fromhex("0603551d25"), constraints)  # one extension of the kind of another
    return [*ders, *odd, twice]


@cache
def _self_signed() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.derive_private_key(11, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the test's CA")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2100, 1, 1))
    return key, builder.sign(key, hashes.SHA256())


def _take_answer(data: bytes, folder: Path) -> None:
    from edge_client.enrolment import check_coordinator

    invitation = Invitation("plant-a", bytes(16), Authority(*_self_signed()).compressed_key, 1 << 32)
    check_coordinator(data, "127.0.0.1:1", invitation, datetime.now(UTC))


CERTIFICATES = (
    Family("certificate requests", _requests, _bend_der, _take_request),
    Family("certificates at joining", _answers, _bend_der, _take_answer),
)
