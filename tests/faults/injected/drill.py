"""A method for trials: quick, without data, and yet every byte of it depends on everything before.

An update is 3.1 MiB, four chunks. It is made from the seed, the global before and the site's own state, so that a
round that is done from the wrong one of them, or counted twice, changes every later digest.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.method import (
    Aggregated,
    Arrays,
    Declaration,
    LocalResult,
    Method,
    RejectedUpdate,
    Report,
    SiteData,
    Unusable,
    Update,
)
from protos.artifacts import MEMORY_BANK

COLUMNS = 1024
_LOOK_S = 0.02


@dataclass(frozen=True)
class Settings:
    """What happens at the sites.

    Attributes:
        rows: of an update, 4 KiB each.
        steps: of a round.
        step_s: seconds that a step takes.
        acts: "SITE/ROUND" -> what the site does in that round: "declines" (round 0), "fails", "fails once",
            "is rejected", "waits for GATE" (telling progress) or "hangs until GATE" (telling none).
        gates: a folder where a file named GATE opens it.
    """

    rows: int = 800
    steps: int = 3
    step_s: float = 0.02
    acts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gates: str = ""


def declare(settings: Settings, data: SiteData) -> Declaration:
    if "declines" in settings.acts.get(f"{data.site}/0", ()):
        raise Unusable("there are no images for this job here")
    return {"rows": str(settings.rows)}


def local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    acts = settings.acts.get(f"{data.site}/{1 if previous is None else 2}", ())
    for step in range(settings.steps):
        report("training", step, settings.steps)
        train(settings)
    for act in acts:
        _act(act, settings, data, report)
    rows = settings.rows - ("is rejected" in acts)
    drift = state["drift"][0] if "drift" in state else np.float32(0)
    weights = np.random.default_rng(seed).random((rows, COLUMNS), np.float32) + drift
    if previous is not None:
        weights += previous["weights"][:rows]
    return LocalResult({"weights": weights}, float(1 + seed % 5), {"drift": weights[:1, 0] + np.float32(1)})


def check(settings: Settings, declaration: Declaration, previous: Arrays | None, arrays: Arrays) -> None:
    look(arrays["weights"])
    if arrays["weights"].shape != (settings.rows, COLUMNS):
        raise RejectedUpdate(f"it has {len(arrays['weights'])} rows instead of {settings.rows}")


def aggregate(settings: Settings, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    total, weight = np.zeros((settings.rows, COLUMNS), np.float32), 0.0
    for update in updates:
        share = update.weight * update.discount
        total += average(update.arrays["weights"]) * np.float32(share)
        weight += share
    return Aggregated({"weights": total / np.float32(weight)})


def install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> Arrays:
    return {"drift": state.get("drift", np.zeros(1, np.float32))}


def _act(act: str, settings: Settings, data: SiteData, report: Report) -> None:
    gate = Path(settings.gates) / act.rpartition(" ")[2]
    if act == "fails" or (act == "fails once" and not (data.scratch / "failed").exists()):
        (data.scratch / "failed").touch()
        raise Unusable("the camera of the line is being changed")
    if act.startswith(("waits for", "hangs until")):
        for step in itertools.count():
            if gate.exists():
                return
            report("waiting", step if act.startswith("waits") else 0, 0)
            time.sleep(_LOOK_S)


# Points at which a worker can be struck while it works.


def train(settings: Settings) -> None:
    time.sleep(settings.step_s)


def look(weights: NDArray[np.generic]) -> None:
    """The coordinator's worker has read an update and is about to judge it."""


def average(weights: Any) -> Any:
    """The coordinator's worker takes one more update in."""
    return weights


METHOD = Method("drill", Settings, MEMORY_BANK, "none", check, aggregate, declare, local_update, install)
