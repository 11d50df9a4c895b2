"""The first release's client at today's coordinator: its recorded requests are served with replies that mean the same.

`recorded/protocol-1.json` holds what the first release said and heard, byte for byte, and its messages and services;
`tests/protos/record.py` made it. Replies are read here as that release reads them, with its own messages.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from blake3 import blake3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from coordinator.operator_channel import connect
from edgefed.local_federation import LocalFederation
from protos.invitation import decode_token, enrolment_credentials, private_key_pem
from protos.jobs import job_for_sites, job_from_json, job_from_table, job_to_json
from protos.v1 import artifacts_pb2, enrolment_pb2, jobs_pb2, work_pb2

RECORDED = json.loads((Path(__file__).parent / "recorded" / "protocol-1.json").read_text())
FILES = FileDescriptorSet.FromString(base64.b64decode(RECORDED["descriptors"]))
FRESH = {"certificate_pem", "ca_pem", "clock", "software", "global_digest", "digest", "chunk_digests", "data"}
"""Fields whose value is another one each time, or each release; the old client asks only that they are there."""


@dataclass(frozen=True)
class Call:
    """One call of the first release: its request as bytes, and the classes and descriptor it was made with."""

    method: str
    request: bytes
    reply: Any


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in FILES.file:
        pool.Add(file)
    return pool


POOL = _pool()


def _classes(method: str) -> tuple[Any, Any]:
    service, _, name = method.strip("/").rpartition("/")
    found = POOL.FindServiceByName(service).methods_by_name[name]
    return message_factory.GetMessageClass(found.input_type), message_factory.GetMessageClass(found.output_type)


CALLS = [
    Call(
        call["method"],
        base64.b64decode(call["request"]),
        _classes(call["method"])[1].FromString(base64.b64decode(call["reply"])),
    )
    for call in RECORDED["calls"]
]


def _recorded(name: str, kind: str) -> Any:
    return next(getattr(call.reply, kind) for call in CALLS if name in call.method and call.reply.HasField(kind))


SPEC_JSON = _recorded("NextWork", "prepare").spec_json
FINAL = _recorded("NextWork", "install").global_digest


class OldClient:
    """Says what was recorded; only the token's secret, the certificate request and the final digest are of today."""

    def __init__(self, federation: LocalFederation) -> None:
        made = federation.command("coordinator", "invite", "plant-a", "--state", str(federation.coordinator_state))
        self.address, self.invitation = made["coordinator"], decode_token(made["token"])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca = (federation.coordinator_state / "ca" / "cert.pem").read_bytes()
        self.channel = self._dial(*enrolment_credentials(self.invitation.ca_key))
        self.final = FINAL

    def say(self, call: Call) -> Any:
        reply = _classes(call.method)[1].FromString(self._call(call.method, self._request(call)))
        if call.method.endswith("/Enrol"):
            self.channel.close()
            self.channel = self._dial(private_key_pem(self.key), reply.certificate_pem)
        if call.method.endswith("/NextWork") and reply.HasField("install"):
            self.final = reply.install.global_digest
        return reply

    def _request(self, call: Call) -> bytes:
        if not call.method.endswith("/Enrol"):
            return call.request.replace(FINAL, self.final)
        request = _classes(call.method)[0].FromString(call.request)
        request.secret = self.invitation.secret
        signing = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(self.key, hashes.SHA256())
        request.csr_der = signing.public_bytes(serialization.Encoding.DER)
        return bytes(request.SerializeToString())

    def _call(self, method: str, request: bytes) -> bytes:
        return bytes(self.channel.unary_unary(method)(request, timeout=60))

    def _dial(self, key: bytes, certificate: bytes) -> grpc.Channel:
        options = [("grpc.ssl_target_name_override", "edgefed-coordinator")]
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.ca, key, certificate), options)


def _assert_same_meaning(recorded: Any, today: Any, where: str) -> None:
    for field in recorded.DESCRIPTOR.fields:
        old, new, place = getattr(recorded, field.name), getattr(today, field.name), f"{where}.{field.name}"
        if field.message_type is not None and not field.is_repeated:
            assert recorded.HasField(field.name) == today.HasField(field.name), place
            if recorded.HasField(field.name):
                _assert_same_meaning(old, new, place)
        elif field.name == "spec_json":
            _assert_known(json.loads(new), json.loads(old), place)
            assert job_from_json(new).the_settings == job_from_json(old).the_settings, place
        elif field.name in FRESH:
            assert bool(old) == bool(new), place
        else:
            assert old == new, place


def _assert_known(today: Any, recorded: Any, place: str) -> None:
    """The first release refuses a job with a key that it does not know."""
    if isinstance(today, dict):
        assert today.keys() <= recorded.keys(), place
        for key, value in today.items():
            _assert_known(value, recorded[key], f"{place}.{key}")


def test_the_recording_is_a_whole_visit() -> None:
    names = [call.method.rpartition("/")[2] for call in CALLS]
    assert names[:3] == ["Enrol", "Hello", "NextWork"] and names[-1] == "ReportInstalled"
    assert {"JoinJob", "Heartbeat", "HasChunks", "PutChunk", "Commit", "SubmitUpdate", "GetChunk"} < set(names)


def test_every_recorded_request_is_served_with_the_same_meaning(tmp_path: Path) -> None:
    with LocalFederation(tmp_path) as federation:
        federation.start_coordinator()
        client = OldClient(federation)
        for call in CALLS:
            reply = client.say(call)
            _assert_same_meaning(call.reply, reply, call.method)
            if call.method.endswith("/Enrol"):
                with connect(federation.coordinator_state) as operator:
                    operator.SubmitJob(jobs_pb2.SubmitJobRequest(spec_json=SPEC_JSON))
            if call.method.endswith("/GetChunk"):
                assert blake3(reply.data).digest() == client.final
        client.channel.close()


def test_a_field_that_nobody_knows_yet_is_passed_over(tmp_path: Path) -> None:
    with LocalFederation(tmp_path) as federation:
        federation.start_coordinator()
        client = OldClient(federation)
        client.say(CALLS[0])
        hello = Call(CALLS[1].method, CALLS[1].request + b"\xba\x3e\x03new", CALLS[1].reply)  # field 999
        assert client.say(hello).site == "plant-a"
        client.channel.close()


def test_a_job_that_uses_nothing_newer_holds_no_key_that_the_first_release_does_not_know() -> None:
    sent = json.loads(job_for_sites(job_from_json(SPEC_JSON)))
    assert sent["rounds"] == {"count": 1}
    assert sent["settings"] == {"memory": {"rows": 24, "upload_rows": 12}, "aggregation": {"rows": 8}}


def test_no_default_of_the_first_release_has_changed() -> None:
    """What stands at its default is not sent to sites, so both ends must mean the same by leaving it out."""
    sent = json.loads(job_for_sites(job_from_json(SPEC_JSON)))
    table = {key: value for key, value in sent.items() if key != "settings"} | {"feddymem": sent["settings"]}
    recorded = json.loads(SPEC_JSON)
    assert _only(json.loads(job_to_json(job_from_table(table, source="the test"))), recorded) == recorded


def _only(today: Any, recorded: Any) -> Any:
    """Of today's document the keys that were recorded."""
    return {key: _only(today[key], recorded[key]) for key in recorded} if isinstance(recorded, dict) else today


@pytest.mark.parametrize("file", FILES.file, ids=lambda file: file.name)
def test_no_message_of_the_first_release_has_changed_or_vanished(file: Any) -> None:
    (today,) = (
        module.DESCRIPTOR
        for module in (artifacts_pb2, enrolment_pb2, jobs_pb2, work_pb2)
        if module.DESCRIPTOR.name == file.name
    )
    for message in file.message_type:
        _assert_kept(message, today.message_types_by_name[message.name])
    for enum in file.enum_type:
        values = today.enum_types_by_name[enum.name].values_by_number
        assert all(values[value.number].name == value.name for value in enum.value), enum.name


def _assert_kept(message: Any, today: Any) -> None:
    for nested in message.nested_type:
        _assert_kept(nested, today.nested_types_by_name[nested.name])
    for field in message.field:
        now = today.fields_by_number[field.number]
        kind = now.message_type or now.enum_type
        assert (now.name, now.type, now.is_repeated) == (field.name, field.type, field.label == field.LABEL_REPEATED)
        assert field.type_name == (f".{kind.full_name}" if kind else "")
        group = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
        assert (now.containing_oneof.name if now.containing_oneof else None) == group


@pytest.mark.parametrize("file", FILES.file, ids=lambda file: file.name)
def test_no_call_of_the_first_release_has_changed_or_vanished(file: Any) -> None:
    modules = (artifacts_pb2, enrolment_pb2, jobs_pb2, work_pb2)
    services = {name: service for module in modules for name, service in module.DESCRIPTOR.services_by_name.items()}
    for service in file.service:
        for method in service.method:
            now = services[service.name].methods_by_name[method.name]
            assert (f".{now.input_type.full_name}", f".{now.output_type.full_name}") == (
                method.input_type,
                method.output_type,
            )
            assert (now.client_streaming, now.server_streaming) == (method.client_streaming, method.server_streaming)
