"""The agent: dials the coordinator, asks for work, does it, and waits when the coordinator is away."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from importlib.metadata import version

from edge_client.connection import Connection
from edge_client.enrolment import renew
from edge_client.identity import check_validity, clock_warning, load_identity, moment
from edge_client.lease import Progress
from edge_client.outbox import Outbox
from edge_client.recompiling import Recompiling
from edge_client.schedule import Aside, is_of_round, jobs_aside, pause_s, seconds_aside, seconds_to_renewal, set_aside
from edge_client.state import SiteState
from edge_client.work import SiteWork
from edge_client.worker_client import Worker, WorkFailed
from protos.errors import EdgeFedError, Unavailable
from protos.v1 import work_pb2

log = logging.getLogger(__name__)

PROTOCOL = 1
LONG_POLL_S = 25.0
RENEWAL_CHECK_S = 60.0
LAST_MOMENT = datetime.max.replace(tzinfo=UTC).timestamp()
WORKER_IDLE_S = 600.0  # a job may have ended without this site; torch then holds memory for nothing


class Agent:
    """A site's agent.

    Args:
        state: of the site; the caller holds its lock.
    """

    def __init__(self, state: SiteState) -> None:
        self._state = state
        self._identity = load_identity(state)
        self._outbox = Outbox(state.outbox)
        self._worker = Worker()
        self._recompiling = Recompiling(state)
        self._aside: dict[str, Aside] = {}

    async def run(self) -> None:
        """Works until it is cancelled; the worker ends with it.

        Raises:
            Refused: the coordinator no longer knows this site, or the certificate has expired.
            StateError: the state folder cannot be read.
        """
        failures = 0
        compiling = asyncio.create_task(self._recompiling.run())
        try:
            while True:
                try:
                    check_validity(self._identity, datetime.now(UTC))
                    async with Connection.of(self._identity) as connection:
                        await self._greet(connection)
                        failures = 0
                        await self._serve(connection)
                except Unavailable as error:
                    failures += 1
                    if failures == 1:
                        log.warning("%s; trying again until it is back", error)
                await asyncio.sleep(pause_s(failures, random.random()))
        finally:
            compiling.cancel()
            await asyncio.wait([compiling])
            await self._worker.stop()

    async def _greet(self, connection: Connection) -> None:
        now = time.time()
        request = work_pb2.HelloRequest(
            min_protocol=PROTOCOL, max_protocol=PROTOCOL, software=f"edgefed {version('edgefed')}", clock=now
        )
        reply = await connection.call(connection.work.Hello, request)
        log.info("connected to %s (%s) as %s", connection.address, reply.software, reply.site)
        clock = reply.clock if 0 <= reply.clock < LAST_MOMENT else 0.0  # whatever else it is, it is wrong
        warning = clock_warning(datetime.fromtimestamp(clock, UTC), datetime.fromtimestamp(now, UTC))
        if warning:
            log.warning("%s", warning)

    async def _serve(self, connection: Connection) -> None:
        work = SiteWork(self._state, connection, self._outbox, self._worker)
        renewing = asyncio.create_task(self._keep_certificate(connection))
        busy_at = time.monotonic()
        try:
            while True:
                now = time.monotonic()
                aside = jobs_aside(self._aside, now)
                waiting = [parcel for parcel in self._outbox.waiting() if parcel.job not in aside]
                # With something to deliver, ask only what there is now: it may be a new lease for a waiting update.
                wait_s = 0 if waiting else min(LONG_POLL_S, seconds_aside(self._aside, now))
                request = work_pb2.NextWorkRequest(wait_s=wait_s, ignore_jobs=sorted(aside))
                reply = await connection.call(connection.work.NextWork, request, timeout_s=LONG_POLL_S + 10)
                for parcel in waiting:
                    if not is_of_round(parcel, reply.train):
                        await self._attempt(parcel.job, work.post(parcel, Progress()))
                if reply.WhichOneof("work"):
                    await self._do(work, reply)
                    busy_at = time.monotonic()
                elif time.monotonic() - busy_at > WORKER_IDLE_S:
                    await self._worker.stop()
        finally:
            renewing.cancel()

    async def _do(self, work: SiteWork, reply: work_pb2.NextWorkReply) -> None:
        match reply.WhichOneof("work"):
            case "prepare":
                await self._attempt(reply.prepare.job, work.prepare(reply.prepare))
            case "train":
                await self._attempt(reply.train.job, work.train(reply.train))
            case "install":
                await self._attempt(reply.install.job, work.install(reply.install))
                self._recompiling.look()

    async def _attempt(self, job: str, doing: Coroutine[None, None, None]) -> None:
        """Does it, and after a failure that is the site's own sets the job aside for a while."""
        try:
            await doing
        except Unavailable:
            raise
        except (EdgeFedError, WorkFailed) as error:
            now = time.monotonic()
            self._aside[job] = set_aside(self._aside.get(job), now)
            log.error("job %s: %s; trying again in %.0f s", job, error, self._aside[job].until - now)
        else:
            self._aside.pop(job, None)

    async def _keep_certificate(self, connection: Connection) -> None:
        while True:
            wait_s = seconds_to_renewal(self._identity.validity, datetime.now(UTC))
            if wait_s > 0:
                # In short steps, since the clock may be set and the machine may sleep.
                await asyncio.sleep(min(wait_s, RENEWAL_CHECK_S))
                continue
            try:
                self._identity = await renew(self._state, self._identity, connection)
            except EdgeFedError as error:
                log.warning("the certificate could not be renewed: %s; trying again in %d s", error, RENEWAL_CHECK_S)
                await asyncio.sleep(RENEWAL_CHECK_S)
                continue
            connection.present(self._identity.certificate_pem)
            log.info("the certificate was renewed, until %s", moment(self._identity.validity[1]))
