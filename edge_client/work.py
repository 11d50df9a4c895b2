"""The three pieces of work that a coordinator asks a site for: prepare, train, install."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

from edge_client.config import load_site_config
from edge_client.connection import Connection
from edge_client.delivery import SUBMIT, deliver
from edge_client.job_folder import JobFolder, Standing, stand_in_queue
from edge_client.lease import LeaseLost, Progress, hold_lease
from edge_client.outbox import Outbox, Parcel
from edge_client.state import SiteState, disk_errors
from edge_client.transfer import download
from edge_client.worker_client import Report, Worker, WorkFailed
from protos.artifacts import manifest_of
from protos.errors import IntegrityError, InvalidInput, Refused, StateError
from protos.v1 import work_pb2

log = logging.getLogger(__name__)

HEARTBEAT_CALL_S = 30.0  # as long as any call: behind an upload that fills the line an answer takes its time
PUBLIC = frozenset({"Unusable", "EgressRefused"})
"""Kinds of failure whose message was written for the coordinator's eyes too."""


def public_reason(failure: Exception) -> str:
    """What the coordinator is told. Other messages may name the site's files, and stay in its log."""
    if isinstance(failure, WorkFailed):
        return failure.message if failure.kind in PUBLIC else f"{failure.kind} at the site; its log says more"
    return f"{type(failure).__name__} at the site; its log says more"


class SiteWork:
    """Does work with a site's state, over one connection.

    Args:
        state: of the site.
        connection: to the coordinator.
        outbox: of the site.
        worker: trains.
    """

    def __init__(self, state: SiteState, connection: Connection, outbox: Outbox, worker: Worker) -> None:
        self._state, self._connection, self._outbox, self._worker = state, connection, outbox, worker

    async def prepare(self, work: work_pb2.Prepare) -> None:
        """Checks a job against the site's own data and tells the coordinator whether the site takes part."""
        folder = JobFolder(self._state, work.job)
        folder.write_spec(work.spec_json)
        # States of an earlier job of this name; its cached features stay, they are kept under what they came from.
        folder.forget_states()
        request = work_pb2.JoinJobRequest(job=work.job)
        try:
            result = await self._ask("declare", folder, report=lambda stage, step, steps: None)
            request.declaration.update(result["declaration"])
        except WorkFailed as failure:
            request.decline_reason = public_reason(failure)
            log.error("job %s: declined: %s", work.job, failure)
        reply = await self._connection.call(self._connection.work.JoinJob, request)
        if request.decline_reason:
            folder.stand(Standing(work.job, "declined", reason=request.decline_reason))
        elif not reply.accepted:
            folder.stand(Standing(work.job, "refused", reason=reply.reason))
            log.error("job %s: the coordinator refused this site: %s", work.job, reply.reason)
        else:
            folder.stand(Standing(work.job, "joined"))
            declared = ", ".join(f"{key} {value}" for key, value in sorted(request.declaration.items()))
            log.info("job %s: joined with %s", work.job, declared)
            return
        await self._worker.stop()

    async def train(self, work: work_pb2.Train) -> None:
        """Does one round under its lease, and delivers what came out.

        Raises:
            Unavailable, StateError: the round can go on where it was, later.
        """
        folder = JobFolder(self._state, work.job)
        folder.write_spec(work.spec_json)
        folder.stand(Standing(work.job, "training", work.round, work.rounds))
        log.info("job %s: round %d of %d", work.job, work.round, work.rounds)
        try:
            await self._under_lease(work, folder)
        except LeaseLost as lost:
            folder.stand(Standing(work.job, "stopped", work.round, work.rounds, str(lost)))
            log.warning("job %s: round %d was stopped: %s", work.job, work.round, lost)
        except (WorkFailed, InvalidInput, IntegrityError, Refused) as failure:
            log.error("job %s: round %d failed: %s", work.job, work.round, failure)
            reason = public_reason(failure)
            folder.stand(Standing(work.job, "failed", work.round, work.rounds, reason))
            request = work_pb2.FailRoundRequest(job=work.job, round=work.round, epoch=work.epoch, reason=reason)
            await self._connection.call(self._connection.work.FailRound, request)

    async def install(self, work: work_pb2.Install) -> None:
        """Makes a finished job's model the site's current one.

        Raises:
            WorkFailed: the worker could not.
            Unavailable, StateError: try again later.
        """
        folder = JobFolder(self._state, work.job)
        folder.write_spec(work.spec_json)
        # After a crash before the report: the model is whole, and what was compiled from it beside it stays.
        if not await asyncio.to_thread(folder.has_installed, work.global_digest.hex()):
            await self._install(work, folder)
        request = work_pb2.ReportInstalledRequest(job=work.job, round=work.round, digest=work.global_digest)
        await self._connection.call(self._connection.work.ReportInstalled, request)
        folder.stand(Standing(work.job, "installed", work.round, work.round))
        folder.tidy()
        (self._state.artifacts / work.global_digest.hex()).unlink(missing_ok=True)
        log.info("job %s: the model of round %d is installed", work.job, work.round)

    async def _install(self, work: work_pb2.Install, folder: JobFolder) -> None:
        final = await download(self._connection, work.global_digest.hex(), self._state.artifacts, Progress().moved)
        staged = self._state.models / f".{work.job}.partial"
        with disk_errors(self._state.models):
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
        await self._ask(
            "install", folder, report=lambda stage, step, steps: None,
            round=work.round, **{"global": str(final), "out": str(staged)},
        )  # fmt: skip
        folder.install(staged)
        await self._worker.stop()

    async def post(self, parcel: Parcel, progress: Progress) -> None:
        """Delivers one parcel of the outbox and says what became of it."""
        reply = await deliver(parcel, self._outbox, self._connection, self._state.ledger, progress)
        folder = JobFolder(self._state, parcel.job)
        if reply.accepted:
            folder.stand(Standing(parcel.job, "delivered", parcel.round, reason=reply.reason))
            size, late = parcel.manifest.size, f"; {reply.reason}" if reply.reason else ""
            log.info("job %s: round %d: delivered %d bytes%s", parcel.job, parcel.round, size, late)
        else:
            folder.stand(Standing(parcel.job, "failed", parcel.round, reason=reply.reason))
            log.warning("job %s: round %d: the update does not count: %s", parcel.job, parcel.round, reply.reason)

    async def _under_lease(self, work: work_pb2.Train, folder: JobFolder) -> None:
        progress = Progress()
        queue: list[str] = []

        async def beat() -> work_pb2.HeartbeatReply:
            request = work_pb2.HeartbeatRequest(
                job=work.job, round=work.round, epoch=work.epoch,
                stage=progress.stage, step=progress.step, steps=progress.steps,
                bytes_done=progress.bytes_done, eta_s=progress.eta_s,
                disk_free_bytes=shutil.disk_usage(self._state.root).free,
            )  # fmt: skip
            reply = await self._connection.call(self._connection.work.Heartbeat, request, timeout_s=HEARTBEAT_CALL_S)
            if new := set(reply.queued_jobs) - set(queue):
                stand_in_queue(self._state, sorted(new), at_work_on=work.job)
            queue[:] = reply.queued_jobs
            # On a slow line this answer may overtake that to the delivery, and knows already that nobody waits.
            reply.lease_valid |= progress.stage == SUBMIT
            return reply

        await hold_lease(self._round(work, folder, progress), beat)

    async def _round(self, work: work_pb2.Train, folder: JobFolder, progress: Progress) -> None:
        base = work.global_digest.hex()
        parcel = self._outbox.find(work.job, work.round)
        if parcel is not None and parcel.base == base:
            parcel = self._outbox.renew(parcel, work.epoch)
        else:
            parcel = await self._train(work, folder, base, progress)
        await self.post(parcel, progress)
        folder.forget_states(before=work.round - 1)
        if base:
            (self._state.artifacts / base).unlink(missing_ok=True)

    async def _train(self, work: work_pb2.Train, folder: JobFolder, base: str, progress: Progress) -> Parcel:
        previous: Path | None = None
        if base:
            progress.report("download", 0, 0)
            previous = await download(self._connection, base, self._state.artifacts, progress.moved)
        update = folder.path / "update.safetensors"
        result = await self._ask(
            "update", folder, report=progress.report, round=work.round,
            **{"global": str(previous) if previous else None, "out": str(update)},
        )  # fmt: skip
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(result["metrics"].items()))
        log.info("job %s: round %d: trained: %s", work.job, work.round, metrics or "no metrics")
        manifest = await asyncio.to_thread(manifest_of, update, result["media_type"])
        refusal = load_site_config(self._state.root).egress.refusal(manifest.media_type, manifest.size)
        if refusal:
            update.unlink()
            raise WorkFailed("EgressRefused", refusal)
        parcel = Parcel(work.job, work.round, work.epoch, result["weight"], base, manifest)
        self._outbox.put(parcel, update)
        return parcel

    async def _ask(self, op: str, folder: JobFolder, *, report: Report, **more: Any) -> dict[str, Any]:
        request = {"op": op, "job_dir": str(folder.path), "site_dir": str(self._state.root), **more}
        try:
            return await self._worker.ask(request, report)
        except WorkFailed as failure:
            if failure.kind == StateError.__name__:
                raise StateError(failure.message) from failure  # a full disk: the work is not at fault
            raise
