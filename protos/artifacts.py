"""The artifact format: content-addressed bytes with a manifest of BLAKE3 digests.

An artifact is named by the BLAKE3 of its content, as `b3sum FILE` prints it. It travels in chunks of 1 MiB; each
chunk has a digest of its own in the manifest, so that a chunk can be checked the moment it arrives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from protos.errors import IntegrityError, InvalidInput
from protos.v1 import artifacts_pb2

CHUNK_BYTES = 1 << 20
DIGEST_BYTES = 32
MAX_ARTIFACT_BYTES = 32 << 30  # its chunk digests are 1 MiB then, and fit into one message

MEMORY_BANK = "application/vnd.edgefed.memory-bank+safetensors"
WEIGHTS = "application/vnd.edgefed.weights+safetensors"
MEDIA_TYPES = frozenset({MEMORY_BANK, WEIGHTS})

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """What an artifact is, before a byte of it has been sent.

    Attributes:
        digest: BLAKE3 of the whole content, 64 lower-case hex characters; the artifact's name.
        size: of the content, in bytes, at least 1.
        media_type: one of `MEDIA_TYPES`.
        chunk_digests: BLAKE3 of each chunk of `CHUNK_BYTES`, in order; the last chunk may be shorter.
    """

    digest: str
    size: int
    media_type: str
    chunk_digests: tuple[bytes, ...]

    def chunk_size(self, index: int) -> int:
        """Bytes in chunk `index`."""
        return min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)

    def check_chunk(self, index: int, data: bytes) -> None:
        """Raises `IntegrityError` unless `data` is exactly chunk `index`."""
        if not 0 <= index < len(self.chunk_digests):
            raise IntegrityError(f"artifact {self.digest[:12]} has no chunk {index}")
        if len(data) != self.chunk_size(index) or blake3(data).digest() != self.chunk_digests[index]:
            raise IntegrityError(f"chunk {index} of artifact {self.digest[:12]} was damaged on the way; send it again")


def manifest_of(path: Path, media_type: str) -> Manifest:
    """Reads a file once, in constant memory, and describes it. Raises `InvalidInput` on an empty or a too large one."""
    if path.stat().st_size > MAX_ARTIFACT_BYTES:
        raise InvalidInput(
            f"{path} has {path.stat().st_size >> 30} GiB; an artifact has {MAX_ARTIFACT_BYTES >> 30} at most"
        )
    root, chunks, size = blake3(), [], 0
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            root.update(data)
            chunks.append(blake3(data).digest())
            size += len(data)
    if size == 0:
        raise InvalidInput(f"{path} is empty: an artifact needs at least one byte")
    return Manifest(root.hexdigest(), size, media_type, tuple(chunks))


def digest_of_file(path: Path) -> str:
    """BLAKE3 of a file's content in hex, by memory map and on all cores."""
    return str(blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest())


def check_digest(digest: str) -> str:
    """Returns a digest that is safe as a file name, or raises `InvalidInput`."""
    if not _HEX.fullmatch(digest):
        raise InvalidInput(f"{digest[:80]!r} is not an artifact digest (64 hex characters)")
    return digest


def manifest_to_proto(manifest: Manifest) -> artifacts_pb2.Manifest:
    """The manifest as its wire message."""
    return artifacts_pb2.Manifest(
        digest=bytes.fromhex(manifest.digest),
        size=manifest.size,
        media_type=manifest.media_type,
        chunk_digests=b"".join(manifest.chunk_digests),
    )


def manifest_from_proto(message: artifacts_pb2.Manifest) -> Manifest:
    """The manifest in a wire message.

    Raises:
        InvalidInput: digest, size, media type or number of chunks are not possible.
    """
    if len(message.digest) != DIGEST_BYTES:
        raise InvalidInput(f"a manifest's digest has {len(message.digest)} bytes, not {DIGEST_BYTES}")
    if not 0 < message.size <= MAX_ARTIFACT_BYTES:
        raise InvalidInput(f"a manifest says {message.size} bytes; 1 to {MAX_ARTIFACT_BYTES} are possible")
    if message.media_type not in MEDIA_TYPES:
        raise InvalidInput(f"a manifest has the unknown media type {message.media_type[:80]!r}")
    chunks = -(-message.size // CHUNK_BYTES)
    if len(message.chunk_digests) != chunks * DIGEST_BYTES:
        raise InvalidInput(f"a manifest of {message.size} bytes needs {chunks} chunk digests")
    digests = message.chunk_digests
    split = tuple(digests[i : i + DIGEST_BYTES] for i in range(0, len(digests), DIGEST_BYTES))
    return Manifest(message.digest.hex(), message.size, message.media_type, split)
