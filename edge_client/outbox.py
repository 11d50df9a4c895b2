"""The outbox: finished updates on disk, from before the first byte is sent until the coordinator has answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from edge_client.state import check_job_name, disk_errors, write_durably
from protos.artifacts import Manifest, check_digest, manifest_from_proto
from protos.durable import sync_folder
from protos.errors import InvalidInput, StateError
from protos.v1 import artifacts_pb2, work_pb2


@dataclass(frozen=True)
class Parcel:
    """A finished update.

    Attributes:
        job: it belongs to.
        round: of the job.
        epoch: of the lease it was made under.
        weight: how much the update stands for.
        base: digest of the global model that it was made from, empty in a first round without one.
        manifest: of its artifact.
    """

    job: str
    round: int
    epoch: int
    weight: float
    base: str
    manifest: Manifest


class Outbox:
    """The folder of parcels: `JOB.ROUND.safetensors`, and `JOB.ROUND.json` that makes it one.

    Args:
        folder: it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, parcel: Parcel, content: Path) -> None:
        """Moves a finished file, which must be durable already, into the outbox."""
        with disk_errors(self.folder):
            content.replace(self.content(parcel))
            sync_folder(self.folder)
        write_durably(self._label(parcel), _to_json(parcel))

    def content(self, parcel: Parcel) -> Path:
        """The file with the update's bytes."""
        return self._label(parcel).with_suffix(".safetensors")

    def find(self, job: str, round_number: int) -> Parcel | None:
        """The parcel of one round, if it waits here."""
        return next((parcel for parcel in self.waiting() if (parcel.job, parcel.round) == (job, round_number)), None)

    def renew(self, parcel: Parcel, epoch: int) -> Parcel:
        """The same update under a newer lease of its round."""
        renewed = replace(parcel, epoch=epoch)
        write_durably(self._label(parcel), _to_json(renewed))
        return renewed

    def waiting(self) -> list[Parcel]:
        """All parcels, the oldest first.

        Raises:
            StateError: a label cannot be read.
        """
        labels = sorted(self.folder.glob("*.json"), key=lambda path: (path.lstat().st_mtime_ns, path.name))
        return [_from_json(path) for path in labels]

    def remove(self, parcel: Parcel) -> None:
        """Forgets a parcel that the coordinator has answered; should it come back, the answer will be the same."""
        with disk_errors(self.folder):
            # The label first: content without a label is no parcel, a label without content would be a fault.
            self._label(parcel).unlink()
            self.content(parcel).unlink()

    def _label(self, parcel: Parcel) -> Path:
        return self.folder / f"{check_job_name(parcel.job)}.{parcel.round}.json"


def _to_json(parcel: Parcel) -> bytes:
    manifest = parcel.manifest
    return json.dumps(
        {
            "job": parcel.job,
            "round": parcel.round,
            "epoch": parcel.epoch,
            "weight": parcel.weight,
            "base": parcel.base,
            "digest": manifest.digest,
            "size": manifest.size,
            "media_type": manifest.media_type,
            "chunk_digests": [digest.hex() for digest in manifest.chunk_digests],
        }
    ).encode()


def _from_json(path: Path) -> Parcel:
    try:
        label = json.loads(path.read_bytes())
        chunks = bytes.fromhex("".join(label["chunk_digests"]))
        # Through the messages that a parcel leaves in: they take nothing that could not be sent.
        message = artifacts_pb2.Manifest(digest=bytes.fromhex(label["digest"]), chunk_digests=chunks)
        message.size, message.media_type = label["size"], label["media_type"]
        words = work_pb2.SubmitUpdateRequest(job=label["job"], round=label["round"], epoch=label["epoch"])
        weight, base = float(label["weight"]), label["base"] and check_digest(label["base"])
        if path.name != f"{check_job_name(words.job)}.{words.round}.json":
            raise ValueError("it is the label of another file")
        return Parcel(words.job, words.round, words.epoch, weight, base, manifest_from_proto(message))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, InvalidInput) as error:
        raise StateError(f"the outbox label {path} cannot be read; move it away to go on without it") from error
