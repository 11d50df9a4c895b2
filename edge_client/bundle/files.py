"""The files of a bundle, from a folder or a tar file: known names, plain files, bounded sizes, read once.

What is read here is what is verified and what is loaded later, so that nothing can be exchanged in between.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protos.errors import InvalidInput
from protos.sums import MEMORY_BANK_FILE, WEIGHTS_FILE

SUMS: Final = "SHA256SUMS"
SIGNATURE: Final = "model.sig"
MANIFEST: Final = "manifest.json"
BANK: Final = MEMORY_BANK_FILE
WEIGHTS: Final = WEIGHTS_FILE
GENERATOR: Final = "generator.safetensors"
CALIBRATION: Final = "calibration.json"
PARITY: Final = "parity.json"
CARD: Final = "MODEL_CARD.md"
BENCH: Final = "bench.json"
MODELS: Final[Mapping[str, str]] = {"fp32": "model.onnx", "fp16": "model.fp16.onnx", "int8": "model.int8.onnx"}


@dataclass(frozen=True)
class Kind:
    """Which files a bundle holds, by what its model does.

    Attributes:
        made_of: the job's global artifact, byte for byte; it tells the kind.
        required: all that must be there, besides SHA256SUMS.
        optional: what may be.
    """

    made_of: str
    required: frozenset[str]
    optional: frozenset[str]


_ALL = {MANIFEST, MODELS["fp32"], PARITY, CARD}
DETECTOR: Final = Kind(BANK, frozenset({*_ALL, BANK, CALIBRATION}), frozenset({GENERATOR, *MODELS.values()}))
CLASSIFIER: Final = Kind(WEIGHTS, frozenset({*_ALL, WEIGHTS}), frozenset())
# They speak of the others, or, as a measurement, of the device; nothing that judges an image reads them.
UNLISTED = frozenset({SUMS, SIGNATURE, BENCH})
_KNOWN = UNLISTED.union(*(kind.required | kind.optional for kind in (DETECTOR, CLASSIFIER)))

_MAX_BYTES: Mapping[str, int] = {**dict.fromkeys([*MODELS.values(), BANK, WEIGHTS], 1 << 30), GENERATOR: 1 << 26}
_MAX_OTHER_BYTES = 16 << 20
# What is written into a folder that is whole already leaves these where it is killed.
_UNFINISHED = frozenset({f"{SIGNATURE}.partial", f"{BENCH}.partial"})


def kind_of(names: Container[str]) -> Kind:
    """The kind of a bundle that holds files of these names."""
    return CLASSIFIER if WEIGHTS in names else DETECTOR


def is_classifier(path: Path) -> bool:
    """Whether a folder or tar file looks like a bundle that classifies the pixels of cubes; nothing is verified."""
    if path.is_dir():
        return (path / WEIGHTS).exists()
    try:
        with tarfile.open(path, "r:") as archive:
            return WEIGHTS in archive.getnames()
    except (OSError, tarfile.TarError, EOFError):
        return False  # what is wrong with it is told by whoever reads it


def read_files(path: Path) -> dict[str, bytes]:
    """Name -> content of every file of a bundle; digests are not yet checked.

    Raises:
        InvalidInput: there is no bundle, or something is in it that does not belong there.
    """
    found: dict[str, bytes] = {}
    try:
        for name, data in _folder(path) if path.is_dir() else _tar(path):
            if name in found:
                raise InvalidInput(f"the bundle {path} holds {name} twice")
            found[name] = data
    except (OSError, tarfile.TarError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"the bundle {path} cannot be read: {reason}") from error
    return found


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name in _UNFINISHED:
            continue
        limit = _limit(path, entry.name)
        if not entry.is_file(follow_symlinks=False):
            raise InvalidInput(f"the bundle {path} holds {entry.name}, which is not a plain file")
        with os.fdopen(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                raise _too_large(path, entry.name, status.st_size)
            yield entry.name, file.read(limit)


def _tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            limit = _limit(path, member.name)  # known names have no folder in them, so none leads out
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                raise InvalidInput(f"the bundle {path} holds {member.name}, which is not a plain file")
            if member.size > limit:
                raise _too_large(path, member.name, member.size)
            file = archive.extractfile(member)
            data = b"" if file is None else file.read()
            if len(data) != member.size:
                raise InvalidInput(f"the bundle {path} ends in the middle of {member.name}; copy it again")
            yield member.name, data


def _limit(path: Path, name: str) -> int:
    if name not in _KNOWN:
        raise InvalidInput(f"the bundle {path} holds {name[:80]!r}, which belongs to no bundle; remove it")
    return _MAX_BYTES.get(name, _MAX_OTHER_BYTES)


def _too_large(path: Path, name: str, size: int) -> InvalidInput:
    return InvalidInput(f"the bundle {path} holds {name} of {size >> 20} MiB, which is more than is read")
