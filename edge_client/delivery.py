"""From the outbox to the coordinator: the one place where something leaves the site."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from edge_client.connection import Connection
from edge_client.lease import Progress
from edge_client.ledger import record
from edge_client.outbox import Outbox, Parcel
from edge_client.transfer import missing_chunks, upload
from protos.errors import IntegrityError, InvalidInput, Refused, StateError
from protos.v1 import work_pb2

log = logging.getLogger(__name__)

SUBMIT = "submit"
"""The stage of the last call: its answer, not a heartbeat's, says what became of the update."""


async def deliver(
    parcel: Parcel, outbox: Outbox, connection: Connection, ledger: Path, progress: Progress
) -> work_pb2.SubmitUpdateReply:
    """Sends a parcel's artifact, then its few words, and takes it out of the outbox when the coordinator has answered.

    Raises:
        Unavailable: the parcel stays; call again later.
        StateError: so it does where the disk is full, or the ledger is broken.
    """
    manifest = parcel.manifest
    try:
        missing = await missing_chunks(connection, manifest)
        _record(ledger, parcel, connection.address)
        progress.report("upload", 0, len(missing))
        await upload(connection, outbox.content(parcel), manifest, missing, progress.moved)
        progress.report(SUBMIT, 0, 0)
        reply = await connection.call(connection.work.SubmitUpdate, _words_of(parcel))
    except (InvalidInput, Refused, IntegrityError) as error:
        # An answer too: the same bytes would be answered the same again.
        reply = work_pb2.SubmitUpdateReply(accepted=False, reason=str(error))
    outbox.remove(parcel)
    return reply


def _record(ledger: Path, parcel: Parcel, address: str) -> None:
    try:
        record(ledger, parcel.manifest, job=parcel.job, round_number=parcel.round, coordinator=address, now=time.time())
    except IntegrityError as error:
        raise StateError(f"{error}; nothing leaves until then") from error


def _words_of(parcel: Parcel) -> work_pb2.SubmitUpdateRequest:
    return work_pb2.SubmitUpdateRequest(
        job=parcel.job,
        round=parcel.round,
        epoch=parcel.epoch,
        digest=bytes.fromhex(parcel.manifest.digest),
        weight=parcel.weight,
    )
