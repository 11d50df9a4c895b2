from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edge_client import latency_budget
from edge_client.latency_budget import FILE, PAUSED, ask_to_pause, asked_to_pause, pausing


def test_training_goes_on_where_nobody_asks(tmp_path: Path) -> None:
    told: list[str] = []
    pausing(lambda stage, step, steps: told.append(stage), tmp_path, lambda seconds: None)("training", 1, 2)
    assert told == ["training"]


def test_training_pauses_while_it_is_asked_to(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            (tmp_path / FILE).unlink()

    ask_to_pause(tmp_path)
    pausing(lambda *progress: told.append(progress), tmp_path, sleep)("training", 1, 2)
    assert told == [("training", 1, 2), (PAUSED, 1, 2)]
    assert len(sleeps) == 3


def test_a_request_fades_and_one_from_the_future_does_not_count(tmp_path: Path) -> None:
    ask_to_pause(tmp_path)
    assert asked_to_pause(tmp_path)
    for age in (10, -3600):
        os.utime(tmp_path / FILE, (time.time() - age,) * 2)
        assert not asked_to_pause(tmp_path)


def test_a_real_round_waits_for_the_line_and_then_ends(site_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_client.worker import Training

    monkeypatch.setattr(latency_budget, "FRESH_S", 1.0)
    told: list[tuple[float, str]] = []
    training = Training(lambda stage, step, steps: told.append((time.monotonic(), stage)))
    job = site_folder / "jobs" / "cells"
    ask_to_pause(site_folder)
    result = training.update(job, site_folder, 1, None, job / "update.safetensors")
    assert result["weight"] > 0
    paused = next(index for index, (_, stage) in enumerate(told) if stage == PAUSED)
    assert told[paused + 1][0] - told[paused][0] > 0.5
