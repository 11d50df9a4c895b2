"""What a site keeps in its own state folder, after a disk, a hand or another program has been at it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random

import grpc

from edge_client.calibration import kept_rate
from edge_client.identity import load_identity
from edge_client.job_folder import standings
from edge_client.ledger import read_ledger, record
from edge_client.outbox import Outbox
from edge_client.state import SiteState, check_job_name, open_state
from edge_client.worker_client import WorkFailed, read_answer
from protos.artifacts import CHUNK_BYTES, MEMORY_BANK, Manifest, check_digest
from protos.errors import EdgeFedError
from protos.invitation import check_site_name, enrolment_credentials
from tests.fuzz.family import Family
from tests.fuzz.mutations import bend_bytes, bend_json

_MANIFEST = Manifest("ab" * 32, CHUNK_BYTES + 5, MEMORY_BANK, (b"a" * 32, b"b" * 32))


def _labels() -> list[bytes]:
    label = {
        "job": "cells", "round": 2, "epoch": 1, "weight": 32.0, "base": "cd" * 32, "digest": _MANIFEST.digest,
        "size": _MANIFEST.size, "media_type": _MANIFEST.media_type,
        "chunk_digests": [digest.hex() for digest in _MANIFEST.chunk_digests],
    }  # fmt: skip
    return [json.dumps(label).encode(), json.dumps({**label, "base": ""}).encode()]


def _take_label(data: bytes, folder: Path) -> None:
    (folder / "cells.2.json").write_bytes(data)
    (folder / "cells.2.safetensors").write_bytes(b"update")
    outbox = Outbox(folder)
    for parcel in outbox.waiting():
        assert check_job_name(parcel.job) and check_digest(parcel.manifest.digest)
        assert outbox.content(parcel).parent == folder
        assert -1 < parcel.round < 1 << 32 and -1 < parcel.epoch < 1 << 64 and isinstance(parcel.weight, float)
        outbox.renew(parcel, parcel.epoch)


def _ledgers() -> list[bytes]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as name:
        path = Path(name, "ledger.jsonl")
        for number in range(1, 4):
            record(path, _MANIFEST, job="cells", round_number=number, coordinator="127.0.0.1:1", now=1e9)
        return [path.read_bytes(), b""]


def _bend_ledger(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    if random.random() < 0.5:
        return bend_bytes(random, data)
    at = random.randrange(len(lines))
    lines[at] = bend_json(random, lines[at])
    return b"\n".join(lines)


def _take_ledger(data: bytes, folder: Path) -> None:
    path = folder / "ledger.jsonl"
    path.write_bytes(data)
    before = read_ledger(path)
    record(path, _MANIFEST, job="cells", round_number=99, coordinator="127.0.0.1:1", now=1e9)
    assert [entry.hash for entry in read_ledger(path)][: len(before)] == [entry.hash for entry in before]


def _standings() -> list[bytes]:
    return [
        json.dumps({"job": "cells", "state": "training", "round": 1, "rounds": 2, "reason": "", "time": 1e9}).encode()
    ]


def _take_standing(data: bytes, folder: Path) -> None:
    for job, content in (("cells", data), ("other", _standings()[0])):
        (folder / "jobs" / job).mkdir(parents=True)
        (folder / "jobs" / job / "standing.json").write_bytes(content)
    assert len(standings(SiteState(folder))) == 2


def _rates() -> list[bytes]:
    return [b'{"false_reject_rate": 0.05}']


def _take_rate(data: bytes, folder: Path) -> None:
    (folder / "calibration.json").write_bytes(data)
    rate = kept_rate(folder)
    assert rate is not None and 0 < rate < 1


_IDENTITY = {b"c": "cert.pem", b"a": "ca.pem", b"k": "key.pem", b"j": "coordinator.json"}


@cache
def _pems() -> dict[str, bytes]:
    key, certificate = enrolment_credentials(b"a CA's key")
    coordinator = b'{"address": "127.0.0.1:1", "site": "plant-a"}'
    return {"cert.pem": certificate, "ca.pem": certificate, "key.pem": key, "coordinator.json": coordinator}


def _bend_identity(random: Random, data: bytes) -> bytes:
    return data[:1] + (bend_json if data[:1] == b"j" else bend_bytes)(random, data[1:])


def _identities() -> list[bytes]:
    return [letter + _pems()[name] for letter, name in _IDENTITY.items()]


def _take_identity(data: bytes, folder: Path) -> None:
    (folder / "identity").mkdir()
    for name, content in (_pems() | {_IDENTITY[data[:1]]: data[1:]}).items():
        (folder / "identity" / name).write_bytes(content)
    identity = load_identity(SiteState(folder))
    check_site_name(identity.site)
    assert identity.validity[0] < identity.validity[1] and isinstance(identity.address, str)
    grpc.ssl_channel_credentials(identity.ca_pem, identity.key_pem, identity.certificate_pem)


def _take_version(data: bytes, folder: Path) -> None:
    (folder / "models").mkdir()
    (folder / "version").write_bytes(data)
    (folder / "models" / "current").write_bytes(data)
    job = SiteState(folder).current_model()
    assert job and (folder / "models" / job).parent == folder / "models"
    open_state(folder)


def _lines() -> list[bytes]:
    lines = (
        {"progress": ["training", 3, 10]}, {"error": {"kind": "Unusable", "message": "there are 3 images"}},
        {"result": {"weight": 256.0, "media_type": MEMORY_BANK, "metrics": {"loss": 0.5}}},
    )  # fmt: skip
    return [json.dumps(line).encode() + b"\n" for line in lines]


def _take_line(data: bytes, folder: Path) -> None:
    read_answer(data, lambda stage, step, steps: None)


RECORDS = (
    Family("outbox labels", _labels, bend_json, _take_label),
    Family("ledgers", _ledgers, _bend_ledger, _take_ledger),
    Family("standings", _standings, bend_json, _take_standing),
    Family("calibrations", _rates, bend_json, _take_rate),
    Family("identities", _identities, _bend_identity, _take_identity, full=2000),
    Family("state versions", lambda: (b"1\n", b"cells\n", b"current"), bend_bytes, _take_version, full=2000),
    Family(
        "worker lines", _lines, bend_json, _take_line, refusals=(EdgeFedError, WorkFailed, ValueError, RecursionError)
    ),
)
