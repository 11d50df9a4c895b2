"""What is removed from a coordinator's disk by itself, and when.

A global model stays as long as its job, and so does every update that an aggregation can still take. An update whose
round is over goes with the next look after an hour; an upload that no job has ever heard of goes after seven days.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from coordinator.artifact_store import ArtifactStore
from coordinator.rounds import JobState, Round
from coordinator.state import StateFolder, may_remove
from protos.errors import StateError

EVERY_S = 3600.0
SETTLED_S = 3600.0  # so that a site that has just heard "it is here" can still say what for
ABANDONED_S = 7 * 86_400.0
_LOG = logging.getLogger("coordinator")


@dataclass(frozen=True)
class Mentioned:
    """The digests that jobs know: `needed` ones have a use or may still get one, `settled` ones were updates."""

    needed: frozenset[str]
    settled: frozenset[str]


def mentioned(states: Iterable[JobState]) -> Mentioned:
    """What the jobs know of artifacts; a digest that any of them needs is not settled."""
    needed: set[str] = set()
    updates: set[str] = set()
    for state in states:
        needed.update(past.global_digest for past in state.rounds)
        for past in state.rounds:
            updates.update(_updates_of(past))
        if state.outcome is None and state.round is not None:
            needed.update(_updates_of(state.round), (late.digest for late in state.late.values()))
    return Mentioned(frozenset(needed - {""}), frozenset(updates - needed - {""}))


def released(known: Mentioned, claims: Mapping[str, Mapping[str, float]], now: float) -> list[tuple[str, str]]:
    """The claims (site, digest) that end now.

    Args:
        known: what jobs know.
        claims: for each digest, when each site that committed it last asked for it, in seconds since the epoch.
        now: seconds since the epoch.
    """
    return [
        (site, digest)
        for digest, sites in claims.items()
        if digest not in known.needed
        for site, used_at in sites.items()
        if now - used_at > (SETTLED_S if digest in known.settled else ABANDONED_S)
    ]


class Collection:
    """Looks at the start and every hour; every step can be cut off and is made good by the next look.

    Args:
        state: the coordinator's folder.
        store: where artifacts lie.
        jobs: the state of every job, now.
    """

    def __init__(self, state: StateFolder, store: ArtifactStore, jobs: Callable[[], Iterable[JobState]]) -> None:
        self._state, self._store, self._jobs = state, store, jobs

    async def run(self) -> None:
        """Collects until it is cancelled."""
        while True:
            try:
                await self.collect(time.time())
            except (StateError, OSError) as error:
                _LOG.warning("nothing could be removed from the disk: %s; trying again later", error)
            await asyncio.sleep(EVERY_S)

    async def collect(self, now: float) -> None:
        """Removes what is due at `now`, unless a backup is reading. Raises `StateError` or `OSError`."""
        with may_remove(self._state) as free:
            if not free:
                return
            # Decided and written down without a pause in which a site could be told that its artifact is here.
            known = mentioned(self._jobs())
            self._store.release(released(known, self._store.claims, now))
            freed = await self._store.sweep(known.needed)
            freed += await self._store.uploads.discard_untouched(now - ABANDONED_S)
        if freed:
            _LOG.info("removed %.1f MB of artifacts that nothing needs any more", freed / 1e6)


def _updates_of(this: Round) -> set[str]:
    return {lease.digest for lease in this.leases.values()} | {late.digest for late in this.late.values()}
