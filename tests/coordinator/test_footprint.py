"""What a coordinator costs: memory, before and after a job."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np


async def test_idle_coordinator_stays_small_and_never_loads_torch(coordinator, plant, operator) -> None:
    assert coordinator.resident_bytes < 120e6
    sites = [await plant(name, update=lambda number: {"w": np.ones(2500, np.float32)}) for name in ("a", "b")]
    await operator.submit("empty", rounds={"count": 5})
    working = asyncio.gather(*(site.serve() for site in sites))
    await operator.watch("empty")
    await working
    assert coordinator.resident_bytes < 140e6
    loaded = await asyncio.to_thread(Path(f"/proc/{coordinator.process.pid}/maps").read_text)
    assert "torch" not in loaded
