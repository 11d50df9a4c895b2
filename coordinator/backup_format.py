"""The file of a backup: a tar of a state folder's files, with the digest of each at its end."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from protos.errors import IntegrityError

FORMAT = 1
INDEX = "backup.json"

_ARTIFACT_NAME = r"artifacts/(?P<start>[0-9a-f]{2})/(?P<digest>(?P=start)[0-9a-f]{62})"
_ARTIFACT = re.compile(_ARTIFACT_NAME)
_NAMES = re.compile(rf"version|ca/(key|cert)\.pem|release/key\.pem|coordinator\.sqlite|{_ARTIFACT_NAME}(\.manifest)?")
_INDEX_BYTES = 1 << 28
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """A file in a backup: its size in bytes and the BLAKE3 of its content, in hex."""

    size: int
    blake3: str


@dataclass(frozen=True)
class Index:
    """What a backup is.

    Attributes:
        format: of the backup, 1.
        made_at: when, in UTC, as ISO 8601.
        software: that made it.
        files: by their path in the state folder.
    """

    format: int
    made_at: str
    software: str
    files: Mapping[str, StoredFile]


_INDEX = TypeAdapter(Index)


def artifact_in(name: str) -> str | None:
    """The digest that a file's name promises, where it is an artifact's content."""
    named = _ARTIFACT.fullmatch(name)
    return named["digest"] if named else None


def read_backup(path: Path, take: Callable[[str, IO[bytes]], str]) -> Index:
    """Reads a backup once, from its start to its end.

    Args:
        path: of the tar.
        take: given each file's path in the state folder and its content, which it reads; it returns their BLAKE3.

    Raises:
        IntegrityError: it is not a backup, holds something else, or a digest is wrong.
        OSError: it cannot be read.
    """
    found: dict[str, StoredFile] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
                if content is not None and member.name == INDEX:
                    return _checked(path, content.read(_INDEX_BYTES), found)
                if content is None or member.name in found or not _NAMES.fullmatch(member.name):
                    raise IntegrityError(f"{path} holds {member.name[:200]!r}, which is no part of a backup")
                found[member.name] = StoredFile(member.size, take(member.name, content))
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise IntegrityError(f"{path} is not a backup, or is damaged: {error}") from error
    raise IntegrityError(f"{path} is not a whole backup: its end is missing")


def blocks_of(content: IO[bytes]) -> Iterator[bytes]:
    """A file's content in pieces."""
    return iter(lambda: content.read(_READ_BYTES), b"")


def _checked(path: Path, raw: bytes, found: Mapping[str, StoredFile]) -> Index:
    index = _INDEX.validate_json(raw)
    if index.format != FORMAT:
        raise IntegrityError(f"{path} is a backup of format {index.format}; this software reads format {FORMAT}")
    for name in sorted(index.files.keys() | found.keys()):
        stored = found.get(name)
        if stored is None or index.files.get(name) != stored or artifact_in(name) not in (None, stored.blake3):
            raise IntegrityError(f"{name} in {path} is missing or damaged; use another backup")
    return index
