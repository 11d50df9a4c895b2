"""How a site gets its certificate, and keeps it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_client.config import NO_DATA, SITE_FILE, Data, site_toml
from edge_client.connection import Connection, parse_address
from edge_client.identity import Identity, load_identity, moment, save_identity
from edge_client.joining import STAGING, key_for, move_in, staging
from edge_client.release_key import pin_release_key
from edge_client.schedule import pause_s
from edge_client.state import VERSION, SiteState, is_site_folder, open_state, write_durably
from protos.errors import IntegrityError, InvalidInput, Refused, StateError, Unavailable
from protos.invitation import (
    COORDINATOR_NAME,
    Invitation,
    compressed_key,
    decode_token,
    enrolment_credentials,
    private_key_pem,
)
from protos.v1 import enrolment_pb2

_CONNECT_S = 10.0
_ATTEMPTS = 3
_UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""What the parser of certificates raises, of which not all are `ValueError`."""


def join(root: Path, address: str, token: str, *, data: Data = NO_DATA) -> Identity:
    """Makes `root` the state folder of a new site: all of it, or nothing.

    Args:
        root: a folder that is empty, or is not there.
        address: HOST:PORT of the coordinator.
        token: of the invitation.
        data: for `site.toml`.

    Raises:
        InvalidInput: a mistyped token or address, an occupied folder.
        StateError: the folder cannot be written, or is of another version.
        Unavailable: nobody answers at the address.
        IntegrityError: another CA answers there.
        Refused: the token has expired or was used; a clock is wrong.
    """
    _check_free(root)
    parse_address(address)
    invitation = decode_token(token)
    with staging(root) as folder:
        identity, release_key = asyncio.run(_enrol(address, invitation, folder))
        (folder / "identity").mkdir(mode=0o700)
        save_identity(folder / "identity", identity)
        pin_release_key(folder / "identity", release_key)
        write_durably(folder / SITE_FILE, site_toml(data).encode())
        for name in ("outbox", "artifacts", "jobs", "models"):
            (folder / name).mkdir()
        move_in(folder, root)
        # Last, for it is what makes the folder a site's.
        write_durably(root / "version", f"{VERSION}\n".encode())
    return identity


async def renew(state: SiteState, identity: Identity, connection: Connection) -> Identity:
    """Fetches and stores a new certificate for the site's key. Raises `IntegrityError` where it is not of our CA."""
    key = serialization.load_pem_private_key(identity.key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"{state.identity / 'key.pem'} is not a P-256 key; restore it or join again")
    request = enrolment_pb2.RenewRequest(csr_der=_signing_request(key, identity.site))
    reply = await connection.call(connection.enrolment.Renew, request)
    ca = x509.load_pem_x509_certificate(identity.ca_pem)
    _check_issued(reply.certificate_pem, ca, key, identity.site)
    renewed = replace(identity, certificate_pem=reply.certificate_pem)
    write_durably(state.identity / "cert.pem", renewed.certificate_pem)
    pin_release_key(state.identity, reply.release_key_pem)
    return renewed


def _check_free(root: Path) -> None:
    if is_site_folder(root):
        joined = load_identity(open_state(root))
        raise InvalidInput(
            f"{root} has already joined {joined.address} as {joined.site}: run `edgefed client run --state {root}`, "
            "or join with another --state"
        )
    if root.exists() and not root.is_dir():
        raise InvalidInput(f"{root} is not a folder")
    if root.exists() and any(root.iterdir()) and not (root / STAGING).is_dir():
        raise InvalidInput(f"{root} is not empty and is not a site's state folder; choose another --state")


async def _enrol(address: str, invitation: Invitation, folder: Path) -> tuple[Identity, bytes]:
    enrolment_key, enrolment_certificate = enrolment_credentials(invitation.ca_key)
    der = _certificate_at(address, enrolment_key + enrolment_certificate)
    leaf = check_coordinator(der, address, invitation, datetime.now(UTC))
    key = key_for(folder, invitation)
    # Trusting the very certificate that was just checked: nobody else can answer now, and only now goes the secret.
    root_pem = leaf.public_bytes(serialization.Encoding.PEM)
    async with Connection(
        address, root_pem=root_pem, key_pem=enrolment_key, certificate_pem=enrolment_certificate
    ) as connection:
        reply = await _trade(connection, invitation, key)
    ca = _certificate_in(reply.ca_pem)
    if compressed_key(_p256_key(ca)) != invitation.ca_key:
        raise IntegrityError(f"the coordinator at {address} sent a CA that is not the token's; ask its operator")
    _check_issued(reply.certificate_pem, ca, key, invitation.site)
    identity = Identity(invitation.site, address, private_key_pem(key), reply.certificate_pem, reply.ca_pem)
    return identity, reply.release_key_pem


async def _trade(
    connection: Connection, invitation: Invitation, key: ec.EllipticCurvePrivateKey
) -> enrolment_pb2.EnrolReply:
    request = enrolment_pb2.EnrolRequest(
        site=invitation.site, secret=invitation.secret, csr_der=_signing_request(key, invitation.site)
    )
    for attempt in range(1, _ATTEMPTS):
        try:
            return await connection.call(connection.enrolment.Enrol, request)
        except Unavailable:
            # The answer may have been lost after the token was spent; the same key gets the same answer again.
            await asyncio.sleep(pause_s(attempt, 1.0))
    return await connection.call(connection.enrolment.Enrol, request)


def _certificate_at(address: str, credentials_pem: bytes) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    # Nothing is trusted yet: the certificate is fetched here, and checked against the token by the caller.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with tempfile.NamedTemporaryFile() as file:
        file.write(credentials_pem)
        file.flush()
        context.load_cert_chain(file.name)
    try:
        with (
            socket.create_connection(parse_address(address), timeout=_CONNECT_S) as plain,
            context.wrap_socket(plain) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(f"the coordinator at {address} cannot be reached: {reason}; is the address right?") from error
    if der is None:
        raise IntegrityError(f"{address} answered without a certificate; it is not a coordinator")
    return der


def check_coordinator(der: bytes, address: str, invitation: Invitation, now: datetime) -> x509.Certificate:
    """The certificate that answered at an address, once it is known to be that of the coordinator of a token.

    Args:
        der: as it came; nobody has vouched for a byte of it yet.
        address: for the messages.
        invitation: the token.
        now: this machine's clock.

    Raises:
        InvalidInput: the token holds no key.
        IntegrityError: it is not the certificate of a coordinator whose CA has the token's key.
        Refused: it is not valid now, so one of the clocks is wrong.
    """
    try:
        ca_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), invitation.ca_key)
    except ValueError as error:
        raise InvalidInput("the token holds no key of a CA; ask for a new one") from error
    try:
        leaf = x509.load_der_x509_certificate(der)
        ca_key.verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        genuine = COORDINATOR_NAME in names.get_values_for_type(x509.DNSName)
    except (InvalidSignature, x509.ExtensionNotFound, *_UNREADABLE):
        genuine = False
    if not genuine:
        raise IntegrityError(
            f"wrong CA: {address} is not the coordinator that made this token; check the address, or ask for a token "
            "of this coordinator. The token was not sent"
        )
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not start <= now < end:
        raise Refused(
            f"this machine's clock says {moment(now)}, but the coordinator's certificate is valid from {moment(start)} "
            f"to {moment(end)}; set the clock and join again. The token was not sent"
        )
    return leaf


def _check_issued(pem: bytes, ca: x509.Certificate, key: ec.EllipticCurvePrivateKey, site: str) -> None:
    certificate = _certificate_in(pem)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise IntegrityError("the coordinator sent a certificate that its own CA did not sign") from error
    if certificate.public_key() != key.public_key() or [name.value for name in names] != [site]:
        raise IntegrityError(f"the coordinator sent a certificate that is not for {site} and its key")


def _certificate_in(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except _UNREADABLE as error:
        raise IntegrityError("the coordinator sent something that is not a certificate") from error


def _p256_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IntegrityError("the coordinator's CA has a key of another kind than P-256")
    return key


def _signing_request(key: ec.EllipticCurvePrivateKey, site: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, site)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)
