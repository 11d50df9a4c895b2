"""Artifacts in both directions. A site reads the global models of its jobs and what it has sent itself."""

from __future__ import annotations

from coordinator.artifact_store import ArtifactStore
from coordinator.certificates import Role
from coordinator.jobs import Jobs
from coordinator.services.door import Door, answers
from protos.artifacts import CHUNK_BYTES, check_digest, manifest_from_proto, manifest_to_proto
from protos.errors import InvalidInput, Refused
from protos.v1 import artifacts_pb2 as pb
from protos.v1 import artifacts_pb2_grpc

MESSAGE_BYTES = CHUNK_BYTES + (64 << 10)
_REMEMBERED = 4096  # looks at who may read what, so that the chunks of a download do not each ask the jobs


class ArtifactsService(artifacts_pb2_grpc.ArtifactsServicer):
    """`edgefed.v1.Artifacts`."""

    def __init__(self, door: Door, store: ArtifactStore, jobs: Jobs) -> None:
        self.door = door
        self._store = store
        self._jobs = jobs
        self._readable: dict[tuple[str, str], None] = {}

    @answers("site", limit=MESSAGE_BYTES)
    async def HasChunks(self, request: pb.HasChunksRequest, role: Role) -> pb.HasChunksReply:
        """Opens or resumes an upload."""
        manifest = manifest_from_proto(request.manifest)
        if self._store.asked_again(role.name, manifest.digest):
            return pb.HasChunksReply(committed=True)
        upload = await self._store.uploads.announce(role.name, manifest)
        return pb.HasChunksReply(bitmap=upload.bitmap)

    @answers("site", limit=MESSAGE_BYTES)
    async def PutChunk(self, request: pb.PutChunkRequest, role: Role) -> pb.PutChunkReply:
        """Stores one chunk."""
        digest = check_digest(request.digest.hex())
        upload = await self._store.uploads.find(role.name, digest)
        if upload is not None:
            await upload.put(request.index, request.data)
        elif not self._store.owned_by(role.name, digest):
            raise InvalidInput(f"artifact {digest[:12]} was not announced; ask HasChunks first")
        return pb.PutChunkReply()

    @answers("site")
    async def Commit(self, request: pb.CommitRequest, role: Role) -> pb.CommitReply:
        """Checks a whole upload and keeps it."""
        return pb.CommitReply(size=await self._store.commit(role.name, check_digest(request.digest.hex())))

    @answers("site")
    async def GetManifest(self, request: pb.GetManifestRequest, role: Role) -> pb.Manifest:
        """Describes an artifact that the site may read."""
        return manifest_to_proto(self._store.manifest(self._readable_digest(role, request.digest)))

    @answers("site")
    async def GetChunk(self, request: pb.GetChunkRequest, role: Role) -> pb.GetChunkReply:
        """One chunk of an artifact that the site may read."""
        digest = self._readable_digest(role, request.digest)
        return pb.GetChunkReply(data=self._store.read_chunk(digest, request.index))

    def _readable_digest(self, role: Role, raw: bytes) -> str:
        digest = check_digest(raw.hex())
        key = (role.name, digest)
        if key not in self._readable:  # what a site may read once it may read always: globals are never taken back
            if not (self._store.owned_by(*key) or self._jobs.may_read(*key)):
                raise Refused(f"{role.name} may not read artifact {digest[:12]}: it is of none of its jobs")
            self._readable[key] = None
            if len(self._readable) > _REMEMBERED:
                del self._readable[next(iter(self._readable))]
        return digest
