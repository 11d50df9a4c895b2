"""kill -9 from outside at moments that nobody chose: the dice are seeded, what runs at that moment is not."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.faults.deployment import Deployment
from tests.faults.scenarios import SITES
from tests.faults.trial import Disturbance, Trial

_KILLS = 5
_PAUSE_S = (0.1, 1.5)


def storm_trials() -> Iterator[Trial]:
    """Five kills in a job: of the coordinator, of the agents, of everything."""
    for what, targets in (("the coordinator", ("coordinator",)), ("agents", SITES), ("all", ("coordinator", *SITES))):
        for seed in range(3):
            yield Trial(f"kill -9 at random moments: {what}", _storm(targets, seed))


def _storm(targets: Sequence[str], seed: int) -> Disturbance:
    @contextmanager
    def disturb(deployment: Deployment, job: str) -> Iterator[Callable[[], float | None]]:
        dice, over = random.Random(seed), threading.Event()
        kills: list[float] = []

        def rage() -> None:
            while len(kills) < _KILLS and not over.wait(dice.uniform(*_PAUSE_S)):
                deployment.kill(dice.choice(targets))
                kills.append(time.time())

        raging = threading.Thread(target=rage)
        raging.start()
        try:
            yield lambda: kills[-1] if len(kills) == _KILLS else None
        finally:
            over.set()
            raging.join()

    return disturb
