"""A model that was compiled stays compiled: the agent has its successor compiled, beside its other work."""

from __future__ import annotations

import asyncio
import logging

from edge_client.compile_order import refuse, waiting_job
from edge_client.schedule import Aside, set_aside
from edge_client.state import SiteState
from edge_client.worker_client import Worker, WorkFailed
from protos.errors import StateError

log = logging.getLogger(__name__)


class Recompiling:
    """Compiles the current model where that is due, in a worker process of its own.

    No round waits for it, and its failure is nobody's: the model is installed and was reported, and the last compiled
    one stays on the line.

    Args:
        state: of the site.
    """

    def __init__(self, state: SiteState) -> None:
        self._state = state
        self._worker = Worker()
        self._due = asyncio.Event()

    def look(self) -> None:
        """A model was installed: see whether it is to be compiled."""
        self._due.set()

    async def run(self) -> None:
        """Works until it is cancelled; begins with what an agent that was stopped has left undone."""
        aside: Aside | None = None
        try:
            while True:
                try:
                    await self._compile_what_waits()
                    aside = None
                    await self._due.wait()
                except Exception as error:  # whatever it is, the agent's own work goes on
                    aside = set_aside(aside, 0.0)
                    log.warning("compiling: %s; trying again in %.0f s", error, aside.until)
                    await asyncio.sleep(aside.until)
                self._due.clear()
        finally:
            await self._worker.stop()

    async def _compile_what_waits(self) -> None:
        while (job := waiting_job(self._state.root)) is not None:
            log.info("job %s: compiling its model", job)
            request = {"op": "compile", "job_dir": str(self._state.job(job)), "site_dir": str(self._state.root)}
            try:
                result = await self._worker.ask(request, lambda stage, step, steps: None)
            except WorkFailed as failure:
                if failure.kind == StateError.__name__:
                    raise StateError(failure.message) from failure
                refuse(self._state.models / job, failure.message)
                log.error("job %s: not compiled: %s; the last compiled model stays", job, failure)
            else:
                for note in result["notes"]:
                    log.warning("job %s: %s", job, note)
                log.info("job %s: compiled, %s on %s", job, result["precision"], result["backend"])
            finally:
                await self._worker.stop()
