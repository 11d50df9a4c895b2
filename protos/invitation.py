"""Invitations: the one-time token and the enrolment certificate that lets a new site knock.

The coordinator's port asks every caller for a client certificate. A new site has none yet, so it presents an
*enrolment certificate*, which it makes for itself from the token: its issuing key is derived from the CA's public
key. It proves nothing but that the caller has seen a token of this coordinator; it opens `Enrol` and nothing else,
and `Enrol` asks for the token's secret. See docs/decisions/0002-one-port.md.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from protos.errors import InvalidInput, Refused

SECRET_BYTES = 16
COORDINATOR_NAME = "edgefed-coordinator"  # in its certificate, wherever it runs: who it is, not where
BACK_DATED = timedelta(days=1)  # certificates start this long before they are issued: a site's clock may be behind
ENROLMENT_COMMON_NAME = "edgefed enrolment"
SITE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_PREFIX = "edgefed1"
_CA_KEY_BYTES = 33  # a compressed P-256 point
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Invitation:
    """What one token says.

    Attributes:
        site: the name that the certificate will carry; a DNS label in lower case.
        secret: 16 random bytes, known to the coordinator by their hash.
        ca_key: the CA's public key, a compressed P-256 point of 33 bytes: the strongest form of a fingerprint,
            since the coordinator's certificate can be checked against it at once.
        expires: seconds since the epoch.
    """

    site: str
    secret: bytes
    ca_key: bytes
    expires: int


def check_site_name(site: str) -> str:
    """Returns a name that is safe in certificates, file names and logs, or raises `InvalidInput`."""
    if site == COORDINATOR_NAME:
        raise InvalidInput(f"{site!r} is the coordinator's own name in certificates; a site needs another")
    if not SITE_NAME.fullmatch(site):
        raise InvalidInput(f"{site[:80]!r} is not a site name: use 1 to 63 of a-z, 0-9 and '-', as in 'plant-a'")
    return site


def encode_token(invitation: Invitation) -> str:
    """The token as one line without spaces: prefix, site, and the rest in base64 with a checksum."""
    body = invitation.secret + invitation.ca_key + invitation.expires.to_bytes(5, "big")
    check = zlib.crc32(invitation.site.encode() + body).to_bytes(4, "big")
    return f"{_PREFIX}.{invitation.site}.{base64.urlsafe_b64encode(body + check).decode().rstrip('=')}"


def decode_token(token: str, *, now: float | None = None) -> Invitation:
    """Reads a token and checks it as far as that is possible without the coordinator.

    Args:
        token: the line that `edgefed coordinator invite` printed; white space around it is ignored.
        now: seconds since the epoch; the machine's clock where left out.

    Raises:
        InvalidInput: it is not a token, or a character of it is wrong or missing.
        Refused: it has expired.
    """
    parts = token.strip().split(".")
    if len(parts) != 3 or parts[0] != _PREFIX:
        raise InvalidInput(f"this is not an EdgeFed token: it starts with '{_PREFIX}.' and has three parts")
    site = check_site_name(parts[1])
    try:
        raw = base64.b64decode(parts[2] + "=" * (-len(parts[2]) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("the token is mistyped: its last part is not base64; copy the whole line again") from error
    body, check = raw[:-4], raw[-4:]
    if len(body) != SECRET_BYTES + _CA_KEY_BYTES + 5 or zlib.crc32(site.encode() + body).to_bytes(4, "big") != check:
        raise InvalidInput("the token is mistyped or cut: its checksum is wrong; copy the whole line again")
    invitation = Invitation(site, body[:SECRET_BYTES], body[SECRET_BYTES:-5], int.from_bytes(body[-5:], "big"))
    if encode_token(invitation) != token.strip():
        raise InvalidInput("the token is mistyped: its last character is wrong; copy the whole line again")
    clock = time.time() if now is None else now
    if clock >= invitation.expires:
        when = datetime.fromtimestamp(invitation.expires, UTC).strftime("%Y-%m-%d %H:%M UTC")
        here = datetime.fromtimestamp(clock, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise Refused(f"the token for {site} expired at {when} (this machine's clock says {here}); ask for a new one")
    return invitation


def compressed_key(key: ec.EllipticCurvePublicKey) -> bytes:
    """A P-256 public key as its compressed point of 33 bytes."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def enrolment_issuer(ca_key: bytes) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The key and certificate that enrolment certificates are issued with; the same on both sides.

    Args:
        ca_key: the CA's compressed public key; who knows it can call `Enrol`, and nothing more.
    """
    raw = HKDF(hashes.SHA256(), 32, salt=None, info=b"edgefed enrolment issuer v1").derive(ca_key)
    # Any integer in [1, n) is a P-256 key; n is so close to 2**256 that the reduction has no bias to speak of.
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    key = ec.derive_private_key(int.from_bytes(raw, "big") % (order - 1) + 1, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgefed enrolment issuer")])
    # Valid for decades in both directions: a site with a wrong clock must get as far as being told about it.
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(_EPOCH).not_valid_after(_EPOCH + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )  # fmt: skip
    return key, builder.sign(key, hashes.SHA256())


def enrolment_credentials(ca_key: bytes) -> tuple[bytes, bytes]:
    """A fresh private key (PEM) and an enrolment certificate (PEM) for it, for the call of `Enrol`."""
    issuer_key, issuer = enrolment_issuer(ca_key)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ENROLMENT_COMMON_NAME)])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_EPOCH).not_valid_after(_EPOCH + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )  # fmt: skip
    return private_key_pem(key), certificate.public_bytes(serialization.Encoding.PEM)


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8 PEM; the caller writes it with mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
