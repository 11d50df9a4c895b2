"""How a site gets and keeps its certificate while the line breaks or the site is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from coordinator import certificates
from coordinator.address import Address
from coordinator.certificates import open_authority
from coordinator.database import open_database
from coordinator.invitations import renew
from edge_client.enrolment import join
from edge_client.identity import load_identity
from edge_client.state import SiteState, open_state
from edgefed.chaos.faults import NO_FAULTS, REFUSED, Faults, Toxics
from edgefed.chaos.threaded import ThreadedProxy
from protos.errors import EdgeFedError
from tests.faults.crash_points import CALL
from tests.faults.deployment import Deployment
from tests.faults.injected.strikes import Strike
from tests.faults.scenarios import A
from tests.faults.trial import Disturbance, Experiment, Result, Trial, struck_by

_TRIES = 3  # of a user who reads that the coordinator could not be reached, with the same token
_FAULTS = {
    "reset": partial(Toxics, at_limit="reset"),
    "truncated": partial(Toxics, at_limit="close"),
    "half-open": partial(Toxics, at_limit="blackhole"),
}
_HELLO, _HANDSHAKE = 100, 2000  # bytes: midway in the first words of TLS, and about where the answer begins
RENEWAL = {
    "asked for": Strike(A, CALL, "before", "RenewRequest"),
    "answered, nothing written": Strike(A, CALL, "after", "RenewRequest"),
    "written half": Strike(A, "pathlib:Path.replace", "before", "cert.pem"),
    "written": Strike(A, "edge_client.state:write_durably", "after", "cert.pem"),
}


def enrolment_experiments() -> Iterator[Experiment]:
    """Each fault once, on the connection that looks at the coordinator and on the one that enrols."""
    yield partial(_enrol, "network, enrolment: refused", 1, REFUSED)
    for kind, toxics in _FAULTS.items():
        for connection in (1, 2):
            for way, faults in (
                ("up", Faults(up=toxics(limit_bytes=_HELLO))),
                ("down", Faults(down=toxics(limit_bytes=_HANDSHAKE))),
            ):
                yield partial(_enrol, f"network, enrolment: {kind}, {way}", connection, faults)
    for way, faults in (("up", Faults(up=Toxics(flip_bit_at=_HELLO))), ("down", Faults(down=Toxics(flip_bit_at=700)))):
        for connection in (1, 2):
            yield partial(_enrol, f"network, enrolment: one bit flipped, {way}", connection, faults)


def renewal_trials() -> Iterator[Trial]:
    """The agent killed, and the power cut, at every step of a renewal that falls into a job."""
    for what, strike in RENEWAL.items():
        yield Trial(f"client killed: renewal {what}", _with_renewal(struck_by(strike)), struck=A)


def _enrol(fault: str, connection: int, faults: Faults, deployment: Deployment) -> Result:
    """A new site joins while its n-th connection has the fault."""
    began, site = time.time(), f"new-{time.time_ns()}"
    with ThreadedProxy(
        Address("127.0.0.1", deployment.port), lambda number: faults if number == connection else NO_FAULTS
    ) as proxy:
        token, notes = deployment.token(site), []
        for _ in range(_TRIES):
            try:
                join(deployment.site(site), str(proxy.address), token)
                break
            except EdgeFedError as error:
                notes.append(str(error))
        joined = (deployment.site(site) / "version").exists()
        same = joined and load_identity(open_state(deployment.site(site))).site == site
        struck = sum(proxy.counts.injected.values()) > 0
    over = time.time()
    note = "" if joined and struck else "; ".join(notes) or "the fault did not strike"
    return Result(fault, joined and struck, 0, 0, int(joined and not same), over - began, over - began, note)


def _with_renewal(disturb: Disturbance) -> Disturbance:
    """The same, at a site whose certificate is past two thirds of its life."""

    @contextmanager
    def disturb_renewal(deployment: Deployment, job: str) -> Iterator[Callable[[], float | None]]:
        deployment.stop(A)
        aged = _age_certificate(deployment)
        with disturb(deployment, job) as struck_at:
            deployment.start(A)
            state = SiteState(deployment.site(A))
            # Not struck in the sense of the trial until the renewal is through.
            yield lambda: struck_at() if load_identity(state).certificate_pem != aged else None

    return disturb_renewal


def _age_certificate(deployment: Deployment) -> bytes:
    state = SiteState(deployment.site(A))
    identity = load_identity(state)
    key = serialization.load_pem_private_key(identity.key_pem, password=None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, A)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())  # type: ignore[arg-type]
    authority = open_authority(deployment.coordinator / "ca")
    # It is dated back by an hour: of 80 minutes of life 60 are over.
    with patch.object(certificates, "SITE_LIFE", timedelta(minutes=20)):
        engine = open_database(deployment.coordinator / "coordinator.sqlite")
        pem = renew(engine, authority, A, request.public_bytes(serialization.Encoding.DER))
        engine.dispose()
    (state.identity / "cert.pem").write_bytes(pem)
    return pem
