"""The coordinator's artifacts: files named by their digest, each with its manifest beside it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.sqlite import insert

from coordinator.database import transaction
from coordinator.database import uploads as uploads_table
from coordinator.state import room_on_disk
from coordinator.uploads import Uploads
from protos.artifacts import CHUNK_BYTES, Manifest, manifest_from_proto, manifest_of, manifest_to_proto
from protos.durable import sync_folder, write_durably
from protos.errors import IntegrityError, InvalidInput
from protos.v1 import artifacts_pb2

_MANIFEST = ".manifest"
_USED_S = 60.0  # how exact `used_at` is


class ArtifactStore:
    """Whole, checked artifacts, and the uploads that become them."""

    def __init__(self, folder: Path, partial: Path, engine: Engine) -> None:
        self._folder = folder
        self._engine = engine
        self.uploads = Uploads(partial)
        self._keeping = threading.Lock()  # two sites may commit the same bytes at the same time
        self._adopted: set[str] = set()  # by this process; no event may speak of the latest yet
        with transaction(engine) as connection:
            rows = connection.execute(select(uploads_table.c.site, uploads_table.c.digest, uploads_table.c.used_at))
            self._claims: dict[str, dict[str, float]] = {}
            for site, digest, used_at in rows:
                self._claims.setdefault(digest, {})[site] = used_at

    @property
    def claims(self) -> Mapping[str, Mapping[str, float]]:
        """For each digest, the sites that have committed it and when each last asked for it (seconds since the epoch).

        Two sites that sent the same bytes have a claim each on one file.
        """
        return self._claims

    def path(self, digest: str) -> Path:
        """Where an artifact lies, or would."""
        return self._folder / digest[:2] / digest

    def owned_by(self, site: str, digest: str) -> bool:
        """Whether this very site has committed the artifact."""
        return site in self._claims.get(digest, ())

    def asked_again(self, site: str, digest: str) -> bool:
        """Whether the site has committed the artifact; if so it stays for as long as if that were now."""
        if (used_at := self._claims.get(digest, {}).get(site)) is None:
            return False
        if time.time() - used_at > _USED_S:
            self._note_owner(site, digest)
        return True

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a stored artifact. Raises `InvalidInput` where it is not there."""
        try:
            raw = self.path(digest).with_suffix(_MANIFEST).read_bytes()
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
        if self.asked_again(site, digest):
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
        self._adopted.add(manifest.digest)
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

    def release(self, claims: Iterable[tuple[str, str]]) -> None:
        """Ends claims (site, digest), durably. Raises `StateError` where the database cannot be written."""
        ended = list(claims)
        with transaction(self._engine) as connection:
            for site, digest in ended:
                where = (uploads_table.c.site == site) & (uploads_table.c.digest == digest)
                connection.execute(delete(uploads_table).where(where))
        for site, digest in ended:
            del self._claims[digest][site]
            if not self._claims[digest]:
                del self._claims[digest]

    async def sweep(self, needed: Collection[str]) -> int:
        """Removes the files that no site has a claim on, no job needs and nobody is bringing; bytes that are free."""
        return await asyncio.to_thread(self._sweep, needed)

    def _sweep(self, needed: Collection[str]) -> int:
        freed = 0
        for digest in {path.name.partition(".")[0] for path in self._folder.glob("??/*")}:
            # Held for each file, since a commit of the same bytes may come at any moment.
            with self._keeping:
                # In this order: what is no longer on its way has been claimed before.
                if self.uploads.brings(digest) or digest in self._claims or digest in self._adopted or digest in needed:
                    continue
                data = self.path(digest)
                freed += data.stat().st_size if data.exists() else 0
                data.unlink(missing_ok=True)
                data.with_suffix(_MANIFEST).unlink(missing_ok=True)
        return freed

    def _keep(self, source: Path, manifest: Manifest) -> None:
        # A link and not a rename: until the caller removes the source, a crash leaves a commit that can be repeated.
        target = self.path(manifest.digest)
        with self._keeping, room_on_disk(f"artifact {manifest.digest[:12]}"):
            if not target.parent.exists():
                target.parent.mkdir()
                sync_folder(self._folder)
            if not target.exists():
                write_durably(target.with_suffix(_MANIFEST), manifest_to_proto(manifest).SerializeToString())
                target.hardlink_to(source)
            sync_folder(target.parent)

    def _note_owner(self, site: str, digest: str) -> None:
        now = time.time()
        row = insert(uploads_table).values(site=site, digest=digest, used_at=now)
        with transaction(self._engine) as connection:
            connection.execute(row.on_conflict_do_update(set_={"used_at": now}))
        self._claims.setdefault(digest, {})[site] = now
