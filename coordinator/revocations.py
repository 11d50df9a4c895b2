"""What follows when a site is revoked: its calls end, and it is out of its jobs."""

from __future__ import annotations

import asyncio
import logging

from coordinator.jobs import Jobs
from coordinator.services.door import Door
from coordinator.sites import Sites
from protos.errors import StateError

_LOG = logging.getLogger("coordinator")
_LOOK_S, _TROUBLE_S = 0.25, 5.0


async def follow_revocations(sites: Sites, door: Door, jobs: Jobs) -> None:
    """Carries out what another process, `edgefed coordinator revoke`, has written, until it is cancelled."""
    seen = None
    while True:
        try:
            if (version := sites.version()) != seen:
                door.expel_revoked()
                jobs.expel_revoked()
                seen = version
            await asyncio.sleep(_LOOK_S)
        except StateError as error:
            _LOG.error("%s", error)
            await asyncio.sleep(_TROUBLE_S)
