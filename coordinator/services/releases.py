"""Signing what a site has compiled from a global model of its own jobs, and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from coordinator.artifact_store import ArtifactStore
from coordinator.certificates import Role
from coordinator.jobs import Jobs
from coordinator.release_key import ReleaseKey
from coordinator.services.door import Door, answers
from protos.artifacts import check_digest
from protos.errors import IntegrityError, InvalidInput, Refused
from protos.sums import MEMORY_BANK_FILE, WEIGHTS_FILE, read_sums
from protos.v1 import releases_pb2 as pb
from protos.v1 import releases_pb2_grpc


class ReleasesService(releases_pb2_grpc.ReleasesServicer):
    """`edgefed.v1.Releases`."""

    def __init__(self, door: Door, store: ArtifactStore, jobs: Jobs, key: ReleaseKey) -> None:
        self.door = door
        self._store = store
        self._jobs = jobs
        self._key = key

    @answers("site")
    async def SignBundle(self, request: pb.SignBundleRequest, role: Role) -> pb.SignBundleReply:
        """Signs a list of digests in which the memory, or the weights, are the named global model, byte for byte."""
        digest = check_digest(request.global_digest.hex())
        # Not what the site has sent itself: an update is no model that the coordinator vouches for.
        if not self._jobs.may_read(role.name, digest):
            raise Refused(
                f"{digest[:12]} is not a global model of a job that {role.name} has joined; nothing is signed"
            )
        try:
            promised = read_sums(request.sums)
        except IntegrityError as error:
            raise InvalidInput(str(error)) from error
        made_of = [promised[name] for name in (MEMORY_BANK_FILE, WEIGHTS_FILE) if name in promised]
        if made_of != [await asyncio.to_thread(_sha256, self._store.path(digest))]:
            raise Refused(f"what the bundle was compiled from is not the global model {digest[:12]}; nothing is signed")
        return pb.SignBundleReply(signature=self._key.sign(request.sums))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InvalidInput(f"there is no artifact {path.name[:12]} at this coordinator") from None
