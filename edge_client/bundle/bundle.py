"""A bundle that was verified and may be run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from edge_client.bundle.bank import read_bank
from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.files import (
    BANK,
    CALIBRATION,
    GENERATOR,
    MANIFEST,
    MODELS,
    SUMS,
    UNLISTED,
    WEIGHTS,
    kind_of,
    read_files,
)
from edge_client.bundle.manifest import ClassifierManifest, DetectorManifest, read_manifest
from edge_client.bundle.signature import check_signature
from edge_client.bundle.spectra import read_projection
from edge_client.bundle.sums import check_sums
from edge_client.compiled.runner import Bank
from models.hsi.projection import Projection
from protos.errors import InvalidInput


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle:
    """A compiled model.

    Attributes:
        path: where it was read.
        manifest: what it is.
        files: all of them, as they were read and verified.
    """

    path: Path
    manifest: DetectorManifest | ClassifierManifest
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def model(self) -> bytes:
        """The ONNX graph of its precision."""
        return self.files[MODELS[self.manifest.precision]]

    @cached_property
    def model_sha256(self) -> str:
        """Of that."""
        return _sha256(self.model)

    @cached_property
    def global_sha256(self) -> str:
        """Of the job's global artifact, byte for byte."""
        return _sha256(self.files[kind_of(self.files).made_of])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of SHA256SUMS, so of everything."""
        return _sha256(self.files[SUMS])


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectorBundle(Bundle):
    """One that judges images, with all that it runs with.

    Attributes:
        bank: the memory and the generator.
        calibration: of this model at its site.
    """

    manifest: DetectorManifest
    bank: Bank = field(repr=False)
    calibration: CalibrationFile = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassifierBundle(Bundle):
    """One that classifies the pixels of cubes.

    Attributes:
        projection: of a cube's bands to the components of its windows.
    """

    manifest: ClassifierManifest
    projection: Projection = field(repr=False)


def open_bundle(path: Path, key: Ed25519PublicKey | None = None) -> DetectorBundle | ClassifierBundle:
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


def bundle_of(path: Path, files: Mapping[str, bytes]) -> DetectorBundle | ClassifierBundle:
    """The bundle in verified files. Raises `InvalidInput`, see `open_bundle`."""
    kind = kind_of(files)
    try:
        manifest = read_manifest(files[MANIFEST])
        foreign = files.keys() - kind.required - kind.optional - UNLISTED
        if foreign or manifest.made_of != kind.made_of or MODELS[manifest.precision] not in files:
            raise InvalidInput("manifest.json and the bundle's files contradict each other")
        bundle = _of_kind(path, manifest, files)
        if manifest.global_digest not in (None, blake3(files[kind.made_of]).hexdigest()):
            raise InvalidInput(f"{kind.made_of} is not the global artifact that manifest.json names")
        return bundle
    except InvalidInput as error:
        raise InvalidInput(f"the bundle {path} cannot be used: {error}") from error
    except ValidationError as error:
        raise InvalidInput(f"the bundle {path} cannot be used: {CALIBRATION}: {error.errors()[0]['msg']}") from error


def _of_kind(
    path: Path, manifest: DetectorManifest | ClassifierManifest, files: Mapping[str, bytes]
) -> DetectorBundle | ClassifierBundle:
    if isinstance(manifest, ClassifierManifest):
        projection = read_projection(files[WEIGHTS], manifest.input)
        return ClassifierBundle(path=path, manifest=manifest, files=files, projection=projection)
    calibration = CalibrationFile.model_validate_json(files[CALIBRATION])
    return DetectorBundle(
        path=path, manifest=manifest, files=files, bank=_bank(manifest, files), calibration=calibration
    )


def _bank(manifest: DetectorManifest, files: Mapping[str, bytes]) -> Bank:
    memory = manifest.memory
    if (GENERATOR in files) != memory.generator:
        raise InvalidInput("manifest.json and the bundle's files contradict each other")
    bank = read_bank(files[BANK], files.get(GENERATOR), cell_scale=memory.cell_scale)
    if bank.rows.shape != (memory.rows, memory.width):
        raise InvalidInput(
            f"the memory bank is {bank.rows.shape} and manifest.json says ({memory.rows}, {memory.width})"
        )
    return bank


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
