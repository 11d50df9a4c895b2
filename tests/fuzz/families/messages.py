"""Manifests, job specifications and tokens as they come over the wire or out of a terminal."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from random import Random

from google.protobuf.message import DecodeError

from protos.artifacts import (
    CHUNK_BYTES,
    DIGEST_BYTES,
    MAX_ARTIFACT_BYTES,
    MEDIA_TYPES,
    check_digest,
    manifest_from_proto,
    manifest_to_proto,
)
from protos.errors import EdgeFedError
from protos.invitation import Invitation, check_site_name, decode_token, encode_token
from protos.jobs import job_from_json, job_from_table, job_to_json
from protos.v1 import artifacts_pb2
from tests.fuzz.family import Family
from tests.fuzz.mutations import EDGES, TEXTS, bend_bytes, bend_json, bend_text

_DAY = 1_900_000_000


def _manifests() -> list[bytes]:
    sizes = (1, 2, 32, 33, 1000)
    return [
        artifacts_pb2.Manifest(
            digest=bytes(range(DIGEST_BYTES)), size=(chunks - 1) * CHUNK_BYTES + 5,
            media_type=sorted(MEDIA_TYPES)[chunks % 2], chunk_digests=bytes(chunks * DIGEST_BYTES),
        ).SerializeToString()
        for chunks in sizes
    ]  # fmt: skip


def _bend_manifest(random: Random, data: bytes) -> bytes:
    if random.random() < 0.3:
        return bend_bytes(random, data)
    message = artifacts_pb2.Manifest()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return bend_bytes(random, data)
    match random.randrange(4):
        case 0:
            message.digest = random.randbytes(random.choice((0, 1, 31, 32, 33, 64, 5000)))
        case 1:
            message.size = min(2**64 - 1, max(0, random.choice((*EDGES, 10**13, message.size + 1, CHUNK_BYTES))))
        case 2:
            message.media_type = random.choice((*TEXTS, "application/x-python-pickle"))
        case 3:
            message.chunk_digests = bytes(random.choice((0, 1, 31, 32, 64, 3200, 1 << 20)))
    return message.SerializeToString()


def _take_manifest(data: bytes, folder: Path) -> None:
    message = artifacts_pb2.Manifest()
    message.ParseFromString(data)
    manifest = manifest_from_proto(message)
    check_digest(manifest.digest)
    assert 0 < manifest.size <= MAX_ARTIFACT_BYTES
    assert manifest_from_proto(manifest_to_proto(manifest)) == manifest
    last = len(manifest.chunk_digests) - 1
    assert 0 < manifest.chunk_size(last) <= CHUNK_BYTES and manifest.chunk_size(last + 1) <= 0


def _jobs() -> list[bytes]:
    tables = (
        {"name": "cells", "method": "feddymem", "seed": 3, "feddymem": {"features": {"image_size": 96}}},
        {"name": "small", "method": "fedavg", "rounds": {"count": 2, "sites": ["plant-a", "plant-b"], "quorum": 1}},
    )
    return [job_to_json(job_from_table(table, source="the test")).encode() for table in tables]


def _take_job(data: bytes, folder: Path) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:  # a string field of a message is UTF-8, or the message is none
        return
    spec = job_from_json(text)
    check_site_name(spec.name)
    assert job_from_json(job_to_json(spec)) == spec
    _ = spec.the_method, spec.the_settings


def _tokens() -> list[bytes]:
    sites = ("plant-a", "x", "a" * 63)
    return [encode_token(Invitation(site, bytes(range(16)), b"\2" + bytes(32), _DAY)).encode() for site in sites]


def _bend_token(random: Random, data: bytes) -> bytes:
    if random.random() < 0.5:
        return (bend_bytes if random.random() < 0.7 else bend_text)(random, data)
    prefix, _, rest = data.partition(b".")
    site, _, body = rest.rpartition(b".")
    try:  # the checksum put right again, so that what it guards is reached
        raw = bend_bytes(random, urlsafe_b64decode(body + b"=" * (-len(body) % 4))[:-4])
    except ValueError:
        return bend_bytes(random, data)
    raw += zlib.crc32(site + raw).to_bytes(4, "big")
    return prefix + b"." + site + b"." + urlsafe_b64encode(raw).rstrip(b"=")


def _take_token(data: bytes, folder: Path) -> None:
    text = data.decode(errors="surrogateescape")  # as Python gives what stands on a command line
    invitation = decode_token(text, now=_DAY - 100)
    check_site_name(invitation.site)
    assert encode_token(invitation) == text.strip()


MESSAGES = (
    Family("manifests", _manifests, _bend_manifest, _take_manifest, refusals=(EdgeFedError, DecodeError)),
    Family("job specifications", _jobs, bend_json, _take_job),
    Family("tokens", _tokens, _bend_token, _take_token),
)
