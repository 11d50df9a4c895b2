"""One run under faults as it goes on: when what is set on the proxy, and what is seen meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from coordinator.address import Address
from edgefed.chaos.job_watch import JobWatch
from edgefed.chaos.narrator import Narrator
from edgefed.chaos.observations import Incident, Observations, Sample, recovery_s
from edgefed.chaos.plan import Planned, faults_under, plan
from edgefed.chaos.profiles import Profile
from edgefed.chaos.proxy import Counts, FaultProxy
from protos.errors import Unavailable

FIRST_SITE_S = 600.0  # a person may have to walk to a site and start it
SETTLE_S = 600.0  # jobs that still run after the faults may end undisturbed
_TICK_S = 0.1
_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a run is to do.

    Attributes:
        profile: of the network.
        coordinator: where it listens.
        listen: where sites dial instead.
        seconds: how long mishaps are injected.
        speed: how many times faster than real life they last and follow each other.
        seed: of the plan, of who is struck, and of the jitter.
    """

    profile: Profile
    coordinator: Address
    listen: Address
    seconds: float
    speed: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What a run has shown, and what the proxy has done."""

    seen: Observations
    counts: Counts


class Conductor:
    """Conducts one run; `stop` is set from outside to end it early."""

    def __init__(self, trial: Trial, proxy: FaultProxy, watch: JobWatch | None, narrator: Narrator) -> None:
        self.stop = asyncio.Event()
        self._trial, self._proxy, self._watch, self._narrator = trial, proxy, watch, narrator
        self._began, self._began_at = time.monotonic(), time.time()
        self._incidents: list[Incident] = []
        self._samples: list[Sample] = []
        self._awaited: Incident | None = None
        self._jobs: dict[str, str] = {}

    async def conduct(self) -> Outcome:
        """From the first site to the last job's end. Raises `Unavailable` where no site comes."""
        looking = asyncio.create_task(self._look_at_jobs())
        interrupted = False
        try:
            await self._wait_for_a_site()
            await self._inject()
            await self._settle()
        except _Stopped:
            interrupted = True
        finally:
            looking.cancel()
            await asyncio.wait({looking})
        jobs = self._watch.records(self._began_at) if self._watch is not None else None
        seen = Observations(tuple(self._incidents), tuple(self._samples), self._now, jobs, complete=not interrupted)
        return Outcome(seen, self._proxy.counts)

    async def _wait_for_a_site(self) -> None:
        self._narrator.listening(self._proxy.address, self._trial)
        while not self._proxy.counts.working:
            if self._now > FIRST_SITE_S:
                raise Unavailable(
                    f"no site has talked to the coordinator through {self._proxy.address} for {FIRST_SITE_S:g} s; "
                    "let the sites dial that address"
                )
            await self._tick()
        self._began, self._began_at = time.monotonic(), time.time()
        self._samples.clear()

    async def _inject(self) -> None:
        trial = self._trial
        for planned in plan(trial.profile, seconds=trial.seconds, speed=trial.speed, seed=trial.seed):
            await self._until(planned.begins)
            self._awaited = await self._strike(planned)
            self._incidents.append(self._awaited)
        await self._until(trial.seconds)

    async def _strike(self, planned: Planned) -> Incident:
        profile, began, before = self._trial.profile, self._now, self._proxy.counts
        self._narrator.mishap(began, planned, before)
        self._proxy.set(faults_under(profile, planned, connections=before.connections, seed=self._trial.seed))
        await self._until(planned.ends)
        self._proxy.set(profile.line)
        return Incident(planned.mishap.name, began, self._now)

    async def _settle(self) -> None:
        limit = self._now + self._trial.profile.back_within_s
        while self._now < limit and any(recovery_s(past, self._samples, self._now) is None for past in self._incidents):
            await self._tick()
        await self._update_jobs()
        if self._jobs:
            self._narrator.settling(self._now, self._jobs, SETTLE_S)
        limit = self._now + SETTLE_S
        while self._now < limit and self._jobs:
            await self._tick()

    async def _until(self, moment: float) -> None:
        while self._now < moment:
            await self._tick()

    async def _tick(self) -> None:
        """Waits for a moment and looks at the connections. Raises `_Stopped`."""
        if self.stop.is_set():
            raise _Stopped
        await asyncio.sleep(_TICK_S)
        counts = self._proxy.counts
        if not self._samples or self._samples[-1].working != counts.working:
            self._samples.append(Sample(self._now, counts.working))
        if self._awaited and (took := recovery_s(self._awaited, self._samples, self._now)) is not None:
            self._narrator.back(self._now, self._awaited, took)
            self._awaited = None
        self._narrator.show(self._now, counts)

    async def _look_at_jobs(self) -> None:
        while True:
            await self._update_jobs()
            await asyncio.sleep(_LOOK_S)

    async def _update_jobs(self) -> None:
        if self._watch is None:
            return
        try:
            jobs = await asyncio.to_thread(self._watch.running)
        except Unavailable:
            return  # a coordinator that is started anew in between; its jobs go on
        self._narrator.jobs(self._now, self._jobs, jobs)
        self._jobs = jobs

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began


class _Stopped(Exception):
    """The report is wanted now."""
