"""The agent as a service: one process on a state folder, logging to stderr, ended by a signal."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

from edge_client.agent import Agent
from edge_client.config import load_site_config
from edge_client.plain import OneLine
from edge_client.state import locked, open_state
from protos.heap import keep_chunks_on_heap

log = logging.getLogger(__name__)


def serve(root: Path) -> None:
    """Runs the agent of a state folder until SIGTERM (which returns) or SIGINT (`KeyboardInterrupt`).

    Raises:
        EdgeFedError: what a restart will not mend; see `Agent.run`.
    """
    keep_chunks_on_heap()
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    state = open_state(root)
    with locked(state):
        load_site_config(root)  # its faults are told now, not when the first update is ready
        if asyncio.run(_until_signal(Agent(state))) == signal.SIGINT:
            raise KeyboardInterrupt


async def _until_signal(agent: Agent) -> signal.Signals:
    running = asyncio.ensure_future(agent.run())
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        running.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        await running
    except asyncio.CancelledError:
        if not received:
            raise
    log.info("stopped by %s", received[0].name)
    return received[0]
