"""A compiled model gets its coordinator's signature, travels as a tar file, and is verified; the processes are real."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_client.bundle.bundle import open_bundle
from edge_client.connection import Connection
from edge_client.identity import load_identity
from edge_client.judging import load_judge
from edge_client.release_key import pin_release_key, pinned_key
from edge_client.signing import sign_bundle, try_to_sign
from edge_client.state import open_state
from edge_client.transfer import missing_chunks, upload
from edgefed.local_federation import LocalFederation
from protos.artifacts import WEIGHTS, manifest_of
from protos.errors import IntegrityError, InvalidInput
from protos.v1 import work_pb2

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def model_command(command_group: Callable[[str], Edgefed]) -> Edgefed:
    """`edgefed model ...` in this process."""
    return command_group("model")


async def has_made(site: Path, model: Path) -> None:
    """Takes the site through a job of one round and one site, whose mean is the site's own update, byte for byte."""
    async with Connection.of(load_identity(open_state(site))) as connection:
        work = connection.work
        await connection.call(work.NextWork, work_pb2.NextWorkRequest(wait_s=20))
        await connection.call(work.JoinJob, work_pb2.JoinJobRequest(job="mean", declaration={"width": "8"}))
        train = (await connection.call(work.NextWork, work_pb2.NextWorkRequest(wait_s=20))).train
        manifest = manifest_of(model, WEIGHTS)
        await upload(connection, model, manifest, await missing_chunks(connection, manifest), lambda moved: None)
        digest = bytes.fromhex(manifest.digest)
        request = work_pb2.SubmitUpdateRequest(job="mean", round=1, epoch=train.epoch, digest=digest, weight=1.0)
        assert (await connection.call(work.SubmitUpdate, request)).accepted
        install = (await connection.call(work.NextWork, work_pb2.NextWorkRequest(wait_s=20))).install
        assert install.global_digest == digest


@pytest.fixture
async def compiled_at_a_site(
    federation: LocalFederation, compiled_site: Path, tmp_path: Path
) -> tuple[LocalFederation, Path]:
    """A site that joined a running coordinator, with a compiled model whose memory is a global model there."""
    federation.join("plant-a", None)
    site = federation.site_state("plant-a")
    shutil.copytree(compiled_site / "models", site / "models", dirs_exist_ok=True)
    job = tmp_path / "job.toml"
    job.write_text('name = "mean"\nmethod = "fedavg"\n[rounds]\ncount = 1\n')
    federation.submit(job)
    await has_made(site, site / "models" / "cells" / "global.safetensors")
    return federation, site


async def test_a_signed_bundle_is_exported_and_verified_and_a_changed_one_is_not(
    compiled_at_a_site: tuple[LocalFederation, Path], model_command: Edgefed, edgefed: Edgefed, tmp_path: Path
) -> None:
    federation, site = compiled_at_a_site
    folder, tar = site / "models" / "cells" / "compiled", tmp_path / "cells.tar"
    assert not (folder / "model.sig").exists()
    await sign_bundle(site, folder)
    exported = model_command("export", "cells", "--out", tar, "--state", site, "--json")
    assert (exported.returncode, json.loads(exported.stdout)["signed"], exported.stderr) == (0, True, "")
    public = federation.coordinator_state / "release" / "public.pem"
    for named in (("--key", public, "--state", tmp_path), ("--state", site)):
        verified = model_command("verify", tar, *named, "--json")
        assert (verified.returncode, json.loads(verified.stdout)["signature_verified"]) == (0, True)
    assert load_judge(site, "cells").job == "cells"
    (folder / "model.sig").write_bytes(bytes(64))
    with pytest.raises(IntegrityError, match="not by your coordinator's release key"):
        load_judge(site, "cells")
    assert model_command("verify", folder, "--state", site).returncode == 7
    (folder / "model.sig").unlink()
    refused = model_command("verify", folder, "--state", site)
    assert (refused.returncode, "not signed" in refused.stderr) == (7, True)
    for command in (("infer", tar), ("bench", "--batch", "1")):
        foreign = edgefed(*command, "--bundle", folder, "--state", site)
        assert (foreign.returncode, "not signed" in foreign.stderr) == (7, True), command


async def test_a_site_that_pinned_another_key_takes_no_signature(
    compiled_at_a_site: tuple[LocalFederation, Path],
) -> None:
    _, site = compiled_at_a_site
    pem = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (site / "identity" / "release.pem").write_bytes(pem)
    folder = site / "models" / "cells" / "compiled"
    with pytest.raises(IntegrityError):
        await sign_bundle(site, folder)
    assert not (folder / "model.sig").exists()


def test_a_bundle_waits_for_its_signature_while_the_coordinator_is_away(
    federation: LocalFederation, compiled_site: Path, model_command: Edgefed, tmp_path: Path
) -> None:
    federation.join("plant-a", None)
    site = federation.site_state("plant-a")
    shutil.copytree(compiled_site / "models", site / "models", dirs_exist_ok=True)
    folder = site / "models" / "cells" / "compiled"
    assert "is not a global model of a job that plant-a has joined" in str(try_to_sign(site, folder))
    federation.kill("coordinator")
    assert "cannot be reached" in str(try_to_sign(site, folder))
    exported = model_command("export", "cells", "--out", tmp_path / "out.tar", "--state", site)
    assert (exported.returncode, "not signed, so other sites refuse it" in exported.stderr) == (0, True)
    assert model_command("export", "cells", "--out", tmp_path / "out.tar", "--state", site).returncode == 2
    assert open_bundle(tmp_path / "out.tar").digest == open_bundle(folder).digest
    assert load_judge(site, "cells").job == "cells"


def test_the_first_key_is_pinned_and_another_one_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for _ in range(2)
    )
    pin_release_key(tmp_path, b"")
    assert pinned_key(tmp_path) is None
    pin_release_key(tmp_path, first)
    pin_release_key(tmp_path, first)
    assert caplog.text == ""
    pin_release_key(tmp_path, second)
    assert "another release key" in caplog.text
    assert (tmp_path / "release.pem").read_bytes() == first


def test_what_is_no_key_is_not_pinned_and_not_taken(tmp_path: Path, model_command: Edgefed) -> None:
    with pytest.raises(IntegrityError, match="not a release key"):
        pin_release_key(tmp_path, b"-----BEGIN PUBLIC KEY-----\n")
    assert pinned_key(tmp_path) is None
    (tmp_path / "release.pem").write_text("no key")
    with pytest.raises(IntegrityError, match="remove it"):
        pinned_key(tmp_path)
    asked = model_command("verify", tmp_path, "--key", tmp_path / "release.pem")
    assert (asked.returncode, "not an Ed25519 public key" in asked.stderr) == (2, True)


def test_an_unknown_model_is_told(compiled_site: Path, model_command: Edgefed, tmp_path: Path) -> None:
    asked = model_command("export", "other", "--out", tmp_path / "o.tar", "--state", compiled_site)
    assert (asked.returncode, "installed: cells" in asked.stderr) == (2, True)
    with pytest.raises(InvalidInput):
        open_bundle(tmp_path / "o.tar")
