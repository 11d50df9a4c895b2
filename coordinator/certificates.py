"""The coordinator's certificate authority: one private CA, ECDSA P-256, and who a certificate speaks for."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protos.durable import write_durably
from protos.errors import InvalidInput, Refused, StateError
from protos.invitation import BACK_DATED, COORDINATOR_NAME, compressed_key, enrolment_issuer, private_key_pem

SITE_LIFE = timedelta(days=14)
OPERATOR_LIFE = timedelta(days=90)
_CA_LIFE = timedelta(days=3650)

Kind = Literal["enrolment", "site", "operator"]


@dataclass(frozen=True)
class Role:
    """Who a checked client certificate speaks for.

    Attributes:
        kind: what it may call.
        name: of the site, where it is one.
        serial: of the certificate, in hex.
        expires: seconds since the epoch.
        pem: the certificate.
    """

    kind: Kind
    name: str
    serial: str
    expires: float
    pem: bytes


@dataclass(frozen=True)
class Issued:
    """A site certificate that was just signed; `expires` in seconds since the epoch."""

    pem: bytes
    serial: str
    expires: float


class Authority:
    """The CA's key and certificate, and what they issue."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate
        self._public_key = key.public_key()
        _, self._enrolment = enrolment_issuer(self.compressed_key)

    @property
    def pem(self) -> bytes:
        """The CA's certificate."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def compressed_key(self) -> bytes:
        """The CA's public key as it stands in tokens, 33 bytes."""
        return compressed_key(self._public_key)

    @property
    def client_roots(self) -> bytes:
        """The certificates that a client's certificate may be issued by, as PEM."""
        return self.pem + self._enrolment.public_bytes(Encoding.PEM)

    def issue_server(self, host: str) -> tuple[bytes, bytes]:
        """A fresh key and a certificate chain (leaf, CA) for a coordinator that listens on `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(COORDINATOR_NAME)]
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COORDINATOR_NAME)])
        builder = self._builder(subject, key.public_key(), _CA_LIFE, ExtendedKeyUsageOID.SERVER_AUTH)
        leaf = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
            self._key, hashes.SHA256()
        )
        return private_key_pem(key), leaf.public_bytes(Encoding.PEM) + self.pem

    def issue_operator(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """A certificate for whoever can read the operator's key in the state folder."""
        builder = self._builder(_name("operator", "operator"), key.public_key(), OPERATOR_LIFE)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def sign_request(self, csr_der: bytes, site: str) -> Issued:
        """A site certificate for the key in a certificate request; nothing else of the request is used.

        Raises:
            InvalidInput: not a request, not signed by its own key, or not a P-256 key.
        """
        try:
            request = x509.load_der_x509_csr(csr_der)
            key = request.public_key()
            if not request.is_signature_valid:
                raise InvalidInput("the certificate request is not signed by its own key")
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise InvalidInput("the certificate request cannot be read") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidInput("the certificate request must hold a P-256 key")
        certificate = self._builder(_name(site, "site"), key, SITE_LIFE).sign(self._key, hashes.SHA256())
        return Issued(
            certificate.public_bytes(Encoding.PEM),
            f"{certificate.serial_number:x}",
            certificate.not_valid_after_utc.timestamp(),
        )

    def role_of(self, pem: bytes) -> Role:
        """Who a client's leaf certificate speaks for, by its issuer's signature and not by its name alone.

        Raises:
            Refused: issued by neither the CA nor the enrolment issuer, or not for a client.
        """
        leaf = x509.load_pem_x509_certificate(pem)
        serial, expires = f"{leaf.serial_number:x}", leaf.not_valid_after_utc.timestamp()
        if _issued_by(leaf, self._enrolment):
            return Role("enrolment", "", serial, expires, pem)
        units = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if _issued_by(leaf, self._certificate) and len(units) == len(names) == 1:
            unit, name = str(units[0].value), str(names[0].value)
            if unit == "site":
                return Role("site", name, serial, expires, pem)
            if unit == "operator":
                return Role("operator", name, serial, expires, pem)
        raise Refused("this certificate is not one of a site or an operator of this coordinator")

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        life: timedelta,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        until = min(now + life, self._certificate.not_valid_after_utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._certificate.subject).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - BACK_DATED).not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )  # fmt: skip


def same_key(pem: bytes, other_pem: bytes) -> bool:
    """Whether two certificates are for the same key."""
    one, other = x509.load_pem_x509_certificate(pem), x509.load_pem_x509_certificate(other_pem)
    return one.public_key() == other.public_key()


def open_authority(folder: Path) -> Authority:
    """The CA in a folder, made where there is none. Raises `StateError` where it cannot be read."""
    if not (folder / "cert.pem").exists():
        _create(folder)
    try:
        key = load_pem_private_key((folder / "key.pem").read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    except (OSError, ValueError) as error:
        raise StateError(f"the certificate authority in {folder} cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"the certificate authority in {folder} is not one that EdgeFed made")
    return Authority(key, certificate)


def _create(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The serial in the name keeps the CAs of two coordinators apart wherever both are trusted.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgefed CA {serial % 2**32:08x}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(serial).not_valid_before(now - BACK_DATED).not_valid_after(now + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    write_durably(folder / "key.pem", private_key_pem(key), mode=0o600)
    write_durably(folder / "cert.pem", certificate.public_bytes(Encoding.PEM))


def _issued_by(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name(common: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
