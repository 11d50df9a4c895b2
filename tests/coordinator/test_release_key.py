"""The coordinator signs what a site compiled from a global model of its own jobs, and nothing else."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from grpc import aio

from coordinator.backup import back_up
from coordinator.release_key import open_release_key
from coordinator.restore import restore
from coordinator.state import StateFolder, open_state
from protos.errors import StateError
from protos.v1 import enrolment_pb2, releases_pb2
from protos.v1.releases_pb2_grpc import ReleasesStub


def sums_with(memory: bytes) -> bytes:
    digest = hashlib.sha256(memory).hexdigest()
    return f"{'0' * 64}  manifest.json\n{digest}  memory_bank.safetensors\n".encode()


async def refusal(site: Any, sums: bytes, digest: bytes) -> str:
    with pytest.raises(aio.AioRpcError) as caught:
        await ReleasesStub(site.channel).SignBundle(releases_pb2.SignBundleRequest(sums=sums, global_digest=digest))
    assert caught.value.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT)
    return str(caught.value.details())


async def a_global_model(coordinator: Any, site: Any, job: str) -> bytes:
    async with coordinator.operator() as operator:
        await operator.submit(job, rounds={"count": 1, "sites": [site.name]})
        await site.serve()
        return bytes((await operator.show(job)).history[0].global_digest)


async def test_a_bundle_with_a_global_model_of_the_site_is_signed_with_the_key_that_came_with_its_certificate(
    coordinator: Any, plant: Any, request_der: Any
) -> None:
    site = await plant("signer")
    digest = await a_global_model(coordinator, site, "signed")
    sums = sums_with(await site.download(digest))
    reply = await ReleasesStub(site.channel).SignBundle(releases_pb2.SignBundleRequest(sums=sums, global_digest=digest))
    renewed = await site.enrolment.Renew(enrolment_pb2.RenewRequest(csr_der=request_der(site.key)))
    key = load_pem_public_key(renewed.release_key_pem)
    assert isinstance(key, Ed25519PublicKey)
    key.verify(reply.signature, sums)
    assert (coordinator.state / "release" / "public.pem").read_bytes() == renewed.release_key_pem


async def test_a_bundle_is_signed_by_the_weights_that_it_was_compiled_from(coordinator: Any, plant: Any) -> None:
    site = await plant("weigher")
    digest = await a_global_model(coordinator, site, "weighed")
    memory = sums_with(await site.download(digest))
    weights = memory.replace(b"memory_bank", b"weights")
    request = releases_pb2.SignBundleRequest(sums=weights, global_digest=digest)
    assert (await ReleasesStub(site.channel).SignBundle(request)).signature
    assert "is not the global model" in await refusal(site, memory + weights.splitlines(keepends=True)[1], digest)


async def test_nothing_else_is_signed(coordinator: Any, plant: Any) -> None:
    site, other = await plant("honest"), await plant("curious")
    digest = await a_global_model(coordinator, site, "honest-job")
    memory = await site.download(digest)
    own_update = bytes.fromhex(await site.leave(site.update(7)))
    assert "curious has joined" in await refusal(other, sums_with(memory), digest)
    assert "honest has joined" in await refusal(site, sums_with(memory), own_update)
    assert "honest has joined" in await refusal(site, sums_with(memory), bytes(32))
    assert "is not the global model" in await refusal(site, sums_with(memory + b"x"), digest)
    assert "is not the global model" in await refusal(site, b"0" * 64 + b"  manifest.json\n", digest)
    assert "damaged" in await refusal(site, b"sign this", digest)
    assert "digest" in await refusal(site, sums_with(memory), b"short")


def test_the_key_is_kept_for_its_owner_alone_and_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = open_release_key(tmp_path)
    assert open_release_key(tmp_path).public_pem == first.public_pem
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_a_key_that_cannot_be_read_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("not a key")
    with pytest.raises(StateError, match="restore it from a backup"):
        open_release_key(tmp_path)
    assert (tmp_path / "key.pem").read_text() == "not a key"


def test_a_backup_brings_the_key_back(coordinator_at: Any, tmp_path: Path) -> None:
    running = coordinator_at(tmp_path / "state")
    running.stop()
    back_up(StateFolder(running.state), tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", tmp_path / "restored")
    before, after = (open_release_key(open_state(root).release) for root in (running.state, tmp_path / "restored"))
    assert after.public_pem == before.public_pem


def test_a_state_from_before_release_keys_is_backed_up_without_one(coordinator_at: Any, tmp_path: Path) -> None:
    running = coordinator_at(tmp_path / "state")
    running.stop()
    (running.state / "release" / "key.pem").unlink()
    index = back_up(StateFolder(running.state), tmp_path / "backup.tar")
    assert not [name for name in index.files if name.startswith("release/")]
