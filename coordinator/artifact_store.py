"""The coordinator's artifacts: files named by their digest, each with its manifest beside it."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert

from coordinator.database import transaction
from coordinator.database import uploads as uploads_table
from coordinator.state import room_on_disk
from coordinator.uploads import Uploads
from protos.artifacts import CHUNK_BYTES, Manifest, manifest_from_proto, manifest_of, manifest_to_proto
from protos.durable import sync_folder, write_durably
from protos.errors import IntegrityError, InvalidInput
from protos.v1 import artifacts_pb2


class ArtifactStore:
    """Whole, checked artifacts, and the uploads that become them."""

    def __init__(self, folder: Path, partial: Path, engine: Engine) -> None:
        self._folder = folder
        self._engine = engine
        self.uploads = Uploads(partial)
        self._keeping = threading.Lock()  # two sites may commit the same bytes at the same time
        with transaction(engine) as connection:
            rows = connection.execute(select(uploads_table.c.site, uploads_table.c.digest))
            self._owned = {(site, digest) for site, digest in rows}

    def path(self, digest: str) -> Path:
        """Where an artifact lies, or would."""
        return self._folder / digest[:2] / digest

    def owned_by(self, site: str, digest: str) -> bool:
        """Whether this very site has committed the artifact."""
        return (site, digest) in self._owned

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a stored artifact. Raises `InvalidInput` where it is not there."""
        try:
            raw = self.path(digest).with_suffix(".manifest").read_bytes()
        except FileNotFoundError:
            raise InvalidInput(f"there is no artifact {digest[:12]} at this coordinator") from None
        return manifest_from_proto(artifacts_pb2.Manifest.FromString(raw))

    async def commit(self, site: str, digest: str) -> int:
        """Makes an upload an artifact, after length and root digest were checked on disk; returns its size.

        Raises:
            InvalidInput: it was not announced, or chunks are missing.
            IntegrityError: the content is not what its name promises; what has arrived is dropped.
            StateError: the disk is full.
        """
        if self.owned_by(site, digest):
            return self.path(digest).stat().st_size
        upload = await self.uploads.find(site, digest)
        if upload is None:
            raise InvalidInput(f"artifact {digest[:12]} was not announced; ask HasChunks first")
        async with upload.lock:
            if not self.owned_by(site, digest):
                try:
                    await asyncio.to_thread(upload.verify)
                except IntegrityError:
                    self.uploads.forget(site, digest)
                    raise
                await asyncio.to_thread(self._keep, upload.data, upload.manifest)
                self._note_owner(site, digest)
                self.uploads.forget(site, digest)
        return upload.manifest.size

    async def adopt(self, path: Path, media_type: str) -> Manifest:
        """Moves a file that was made here, and is durable already, into the store."""
        manifest = await asyncio.to_thread(manifest_of, path, media_type)
        await asyncio.to_thread(self._keep, path, manifest)
        path.unlink()
        return manifest

    def read_chunk(self, digest: str, index: int) -> bytes:
        """One chunk of 1 MiB, the last one shorter. Raises `InvalidInput` where there is no such chunk."""
        try:
            descriptor = os.open(self.path(digest), os.O_RDONLY)
        except FileNotFoundError:
            raise InvalidInput(f"there is no artifact {digest[:12]} at this coordinator") from None
        try:
            data = os.pread(descriptor, CHUNK_BYTES, index * CHUNK_BYTES)
        finally:
            os.close(descriptor)
        if not data:
            raise InvalidInput(f"artifact {digest[:12]} has no chunk {index}")
        return data

    def _keep(self, source: Path, manifest: Manifest) -> None:
        # A link and not a rename: until the caller removes the source, a crash leaves a commit that can be repeated.
        target = self.path(manifest.digest)
        with self._keeping, room_on_disk(f"artifact {manifest.digest[:12]}"):
            if not target.parent.exists():
                target.parent.mkdir()
                sync_folder(self._folder)
            if not target.exists():
                write_durably(target.with_suffix(".manifest"), manifest_to_proto(manifest).SerializeToString())
                target.hardlink_to(source)
            sync_folder(target.parent)

    def _note_owner(self, site: str, digest: str) -> None:
        with transaction(self._engine) as connection:
            connection.execute(insert(uploads_table).values(site=site, digest=digest).on_conflict_do_nothing())
        self._owned.add((site, digest))
