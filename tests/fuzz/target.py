"""A real coordinator process to be attacked, with sites and jobs, and every certificate that a caller may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coordinator.operator_channel import connect
from edge_client.enrolment import join
from edgefed.local_federation import LocalFederation
from protos.invitation import decode_token, enrolment_credentials, private_key_pem
from protos.v1 import jobs_pb2
from tests.fuzz.messages import JOBS

KINDS = ("site", "other", "enrolment", "operator", "stranger")


@dataclass(frozen=True)
class Target:
    """The coordinator under attack.

    Attributes:
        address: HOST:PORT.
        ca: its CA's certificate, PEM.
        credentials: key and certificate, PEM, by the kind of caller: two sites, one that enrols, the operator, and one
            with a certificate that this coordinator has never heard of.
        pid: of its process.
        log: what it has said.
    """

    address: str
    ca: bytes
    credentials: dict[str, tuple[bytes, bytes]]
    pid: int
    log: Path

    @property
    def resident_bytes(self) -> int:
        """How much memory its process holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    @property
    def tracebacks(self) -> list[str]:
        """The last line of each traceback in its log."""
        blocks = re.findall(r"Traceback \(most recent.*?\n(?=\S)(\S[^\n]*)", self.log.read_text(errors="replace"), re.S)
        return [str(block) for block in blocks]


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Starts a coordinator, lets two sites join and submits jobs to the first one."""
    with LocalFederation(folder) as federation:
        federation.start_coordinator()
        state = federation.coordinator_state
        address = (state / "operator" / "address").read_text().strip()
        credentials = {"stranger": _stranger()}
        for kind in ("site", "other"):
            token = federation.command("coordinator", "invite", kind, "--state", str(state))["token"]
            identity = join(federation.site_state(kind), address, token)
            credentials[kind] = identity.key_pem, identity.certificate_pem
        credentials["enrolment"] = enrolment_credentials(decode_token(token).ca_key)
        credentials["operator"] = tuple((state / "operator" / name).read_bytes() for name in ("key.pem", "cert.pem"))
        with connect(state) as operator:
            for number in range(JOBS):
                spec = {"name": f"job-{number}", "method": "fedavg", "rounds": {"count": 9999, "sites": ["site"]}}
                operator.SubmitJob(jobs_pb2.SubmitJobRequest(spec_json=json.dumps(spec)))
        pid, log = federation.pid("coordinator"), folder / "logs" / "coordinator.log"
        yield Target(address, (state / "ca" / "cert.pem").read_bytes(), credentials, pid, log)


def _stranger() -> tuple[bytes, bytes]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    return private_key_pem(key), builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
