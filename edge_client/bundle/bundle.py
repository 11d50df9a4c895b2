"""A bundle that was verified and may be run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from edge_client.bundle.bank import read_bank
from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.files import BANK, CALIBRATION, GENERATOR, MANIFEST, MODELS, SUMS, read_files
from edge_client.bundle.manifest import Manifest, read_manifest
from edge_client.bundle.signature import check_signature
from edge_client.bundle.sums import check_sums
from edge_client.compiled.runner import Bank
from protos.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Bundle:
    """A compiled model and all that it runs with.

    Attributes:
        path: where it was read.
        manifest: what it is.
        model: bytes of the ONNX graph of its precision.
        model_sha256: of those.
        bank: the memory and the generator.
        bank_sha256: of `memory_bank.safetensors`, the same as of the job's global artifact.
        calibration: of this model at its site.
        digest: SHA-256 of SHA256SUMS, so of everything.
        files: all of them, as they were read and verified.
    """

    path: Path
    manifest: Manifest
    model: bytes = field(repr=False)
    model_sha256: str
    bank: Bank = field(repr=False)
    bank_sha256: str
    calibration: CalibrationFile = field(repr=False)
    digest: str
    files: Mapping[str, bytes] = field(repr=False)


def open_bundle(path: Path, key: Ed25519PublicKey | None = None) -> Bundle:
    """Reads a folder or a tar file; signature and digests are checked before anything else is looked at.

    Args:
        path: of the folder or file.
        key: that it must be signed with; None for a bundle that was made here, or where no key is known.

    Raises:
        InvalidInput: there is no bundle, it is of a newer schema, or a file of it says what cannot be.
        IntegrityError: the signature is missing or wrong, or a file is missing, foreign, or not what SHA256SUMS says.
    """
    files = read_files(path)
    if key is not None:
        check_signature(files, key)
    check_sums(files)
    return bundle_of(path, files)


def bundle_of(path: Path, files: Mapping[str, bytes]) -> Bundle:
    """The bundle in verified files. Raises `InvalidInput`, see `open_bundle`."""
    try:
        manifest = read_manifest(files[MANIFEST])
        name = MODELS[manifest.precision]
        if name not in files or (GENERATOR in files) != manifest.memory.generator:
            raise InvalidInput("manifest.json and the bundle's files contradict each other")
        bank = read_bank(files[BANK], files.get(GENERATOR), cell_scale=manifest.memory.cell_scale)
        if manifest.global_digest not in (None, blake3(files[BANK]).hexdigest()):
            raise InvalidInput(f"{BANK} is not the global artifact that manifest.json names")
        if bank.rows.shape != (manifest.memory.rows, manifest.memory.width):
            raise InvalidInput(
                f"the memory bank is {bank.rows.shape} and manifest.json says "
                f"({manifest.memory.rows}, {manifest.memory.width})"
            )
        calibration = CalibrationFile.model_validate_json(files[CALIBRATION])
    except InvalidInput as error:
        raise InvalidInput(f"the bundle {path} cannot be used: {error}") from error
    except ValidationError as error:
        raise InvalidInput(f"the bundle {path} cannot be used: {CALIBRATION}: {error.errors()[0]['msg']}") from error
    return Bundle(
        path, manifest, files[name], _sha256(files[name]), bank, _sha256(files[BANK]), calibration,
        _sha256(files[SUMS]), files,
    )  # fmt: skip


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
