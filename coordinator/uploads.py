"""Artifacts on their way to the coordinator, chunk by chunk, each under the site that sends it.

What has arrived is not written down anywhere: after a restart the chunks on disk are hashed and compared with the
manifest, so that the answer is right even where a power cut left a file with holes.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from coordinator.state import room_on_disk
from protos.artifacts import CHUNK_BYTES, Manifest, manifest_from_proto, manifest_to_proto
from protos.durable import write_durably
from protos.errors import IntegrityError, InvalidInput
from protos.v1 import artifacts_pb2

MAX_UPLOADS = 4  # of one site at a time; announcing another one drops the oldest


class Upload:
    """One artifact that a site is sending."""

    def __init__(self, folder: Path, manifest: Manifest, present: bytearray) -> None:
        self.manifest = manifest
        self.folder = folder
        self.lock = asyncio.Lock()
        self._present = present

    @property
    def data(self) -> Path:
        """The file that the chunks are written into."""
        return self.folder / "data"

    @property
    def bitmap(self) -> bytes:
        """Bit i, least significant first, is 1 where chunk i is on disk and right."""
        return bytes(self._present)

    @property
    def missing(self) -> int:
        """How many chunks are not there."""
        return len(self.manifest.chunk_digests) - int.from_bytes(self._present, "little").bit_count()

    async def put(self, index: int, data: bytes) -> None:
        """Stores one chunk; idempotent.

        Raises:
            IntegrityError: the chunk is not the one in the manifest.
            StateError: the disk is full.
        """
        await asyncio.to_thread(self._write, index, data)
        self._present[index // 8] |= 1 << index % 8

    def _write(self, index: int, data: bytes) -> None:
        self.manifest.check_chunk(index, data)
        with room_on_disk(f"artifact {self.manifest.digest[:12]}"):
            try:
                descriptor = os.open(self.data, os.O_WRONLY)
            except FileNotFoundError:
                raise InvalidInput(f"artifact {self.manifest.digest[:12]} must be announced again") from None
            try:
                if os.pwrite(descriptor, data, index * CHUNK_BYTES) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # what a short write means
            finally:
                os.close(descriptor)

    def verify(self) -> None:
        """Checks length and root digest of the file on disk and makes it durable.

        Raises:
            InvalidInput: chunks are missing.
            IntegrityError: the content is not what its name promises.
            StateError: the disk is full.
        """
        if self.missing:
            raise InvalidInput(f"artifact {self.manifest.digest[:12]} lacks {self.missing} chunks; send them first")
        with room_on_disk(f"artifact {self.manifest.digest[:12]}"), self.data.open("rb") as file:
            root = hashlib.file_digest(file, blake3).hexdigest()  # type: ignore[arg-type]
            if file.tell() != self.manifest.size or root != self.manifest.digest:
                raise IntegrityError(
                    f"the chunks of artifact {self.manifest.digest[:12]} do not add up to it; send it again"
                )
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Removes what has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Uploads:
    """The uploads of all sites: `partial/SITE/DIGEST/{manifest,data}`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._uploads: dict[tuple[str, str], Upload] = {}
        self._announcing = asyncio.Lock()

    async def announce(self, site: str, manifest: Manifest) -> Upload:
        """Opens or resumes an upload. Raises `StateError` on a full disk."""
        async with self._announcing:
            _touch(self._folder / site / manifest.digest)
            upload = await self.find(site, manifest.digest)
            if upload is None or upload.manifest != manifest:
                folder = self._folder / site / manifest.digest
                await asyncio.to_thread(self._prepare, folder, manifest)
                upload = Upload(folder, manifest, _no_chunks(manifest))
                self._uploads[site, manifest.digest] = upload
            return upload

    async def find(self, site: str, digest: str) -> Upload | None:
        """The upload of an artifact that this site has announced, also before a restart."""
        if (known := self._uploads.get((site, digest))) is not None:
            return known
        folder = self._folder / site / digest
        if not (folder / "manifest").exists():
            return None
        found = await asyncio.to_thread(_resume, folder)
        return self._uploads.setdefault((site, digest), found)

    def forget(self, site: str, digest: str) -> None:
        """Removes an upload."""
        if (upload := self._uploads.pop((site, digest), None)) is not None:
            upload.discard()

    def brings(self, digest: str) -> bool:
        """Whether an upload of this artifact is under way in this process."""
        return any(known == digest for _, known in list(self._uploads))

    async def discard_untouched(self, since: float) -> int:
        """Removes uploads of which nothing came after `since` (seconds since the epoch); bytes that are free."""
        async with self._announcing:  # who announces one now has touched it
            old = [folder for folder in self._folder.glob("[!.]*/*") if _touched_at(folder) < since]
            for folder in old:
                self._uploads.pop((folder.parent.name, folder.name), None)
            return sum([await asyncio.to_thread(_remove, folder) for folder in old])

    def _prepare(self, folder: Path, manifest: Manifest) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with room_on_disk(f"artifact {manifest.digest[:12]}"):
            folder.parent.mkdir(exist_ok=True)
            others = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)
            for old in others[: max(0, len(others) - MAX_UPLOADS + 1)]:
                self._uploads.pop((old.parent.name, old.name), None)
                shutil.rmtree(old, ignore_errors=True)
            folder.mkdir()
            with (folder / "data").open("wb") as file:
                file.truncate(manifest.size)
            write_durably(folder / "manifest", manifest_to_proto(manifest).SerializeToString())


def _resume(folder: Path) -> Upload:
    manifest = manifest_from_proto(artifacts_pb2.Manifest.FromString((folder / "manifest").read_bytes()))
    present = _no_chunks(manifest)
    with (folder / "data").open("rb") as file:
        for index, digest in enumerate(manifest.chunk_digests):
            if not _is_written(file, index, manifest.chunk_size(index)):
                continue  # announcing costs a site nothing: reading what was never sent would cost minutes here
            if blake3(os.pread(file.fileno(), manifest.chunk_size(index), index * CHUNK_BYTES)).digest() == digest:
                present[index // 8] |= 1 << index % 8
    return Upload(folder, manifest, present)


def _is_written(file: BinaryIO, index: int, size: int) -> bool:
    try:
        return os.lseek(file.fileno(), index * CHUNK_BYTES, os.SEEK_DATA) < index * CHUNK_BYTES + size
    except OSError as error:
        if error.errno != errno.ENXIO:  # nothing but a hole from here on
            raise
        return False


def _touch(folder: Path) -> None:
    with suppress(FileNotFoundError):
        os.utime(folder / "data")


def _touched_at(folder: Path) -> float:
    try:
        return (folder / "data").stat().st_mtime
    except FileNotFoundError:  # cut off while it was made or removed
        return folder.stat().st_mtime


def _remove(folder: Path) -> int:
    size = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
    shutil.rmtree(folder)
    return size


def _no_chunks(manifest: Manifest) -> bytearray:
    return bytearray(-(-len(manifest.chunk_digests) // 8))
