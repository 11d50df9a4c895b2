"""A method that needs neither data nor torch and fails where its settings say; other installations' way to add one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class Settings:
    """What happens at a site: `steps` of `step_s` seconds each, then, at `fault_site` or everywhere, the fault."""

    rows: int = 8
    steps: int = 2
    step_s: float = 0.0
    fault: str = ""
    fault_site: str = ""


def declare(settings: Settings, data: SiteData) -> Declaration:
    if _strikes(settings, data, "unusable"):
        raise Unusable("there are 3 normal images; at least 10 are needed")
    return {"rows": str(settings.rows)}


def local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    for step in range(settings.steps):
        report("training", step, settings.steps)
        time.sleep(settings.step_s)
    if _strikes(settings, data, "exit"):
        print("CUDA error: the device is gone", file=sys.stderr, flush=True)
        os._exit(3)
    if _strikes(settings, data, "secret"):
        raise ValueError("patient-0815.png is broken")
    seen = 1 + int(state["seen"][0]) if "seen" in state else 1
    bank = np.random.default_rng(seed).random((settings.rows, 4), np.float32)
    return LocalResult({"memory": bank}, float(settings.rows), {"seen": np.array([seen])}, {"seen": float(seen)})


def check(settings: Settings, declaration: Declaration, previous: Arrays | None, arrays: Arrays) -> None:
    if arrays["memory"].shape != (settings.rows, 4):
        raise RejectedUpdate("the bank has another shape")


def aggregate(settings: Settings, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    return Aggregated({"memory": np.concatenate([update.arrays["memory"] for update in updates])})


def install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> Arrays:
    return {"rows": np.array([len(final["memory"])])}


def _strikes(settings: Settings, data: SiteData, fault: str) -> bool:
    return settings.fault == fault and settings.fault_site in ("", data.site)


METHOD = Method("rehearsal", Settings, MEMORY_BANK, "none", check, aggregate, declare, local_update, install)
