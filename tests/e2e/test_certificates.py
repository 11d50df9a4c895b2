"""Certificates over time: real processes whose certificates live for seconds, or whose clocks are hours off."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_client.identity import load_identity
from edgefed import local_federation
from protos.errors import EdgeFedError
from protos.v1 import jobs_pb2
from tests.edge_client.plants import Plants

RUN = "from edgefed.cli import main; main()"
SHORT_LIVES = """
from datetime import timedelta
from coordinator import certificates, invitations
from edge_client import agent
certificates.SITE_LIFE, certificates.BACK_DATED = timedelta(seconds=6), timedelta(0)
agent.LONG_POLL_S = 0.5
"""
CLOCK = """
import time
from datetime import datetime, timedelta
from coordinator import certificates
real = time.time
time.time = lambda: real() + {offset_s}
class Shifted(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(seconds={offset_s})
certificates.datetime = Shifted
"""


@contextmanager
def processes_run(prelude: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every process that is started meanwhile runs the prelude first."""
    with patch.context() as within:
        within.setattr(local_federation, "_EDGEFED", (sys.executable, "-c", prelude + RUN))
        yield


@pytest.fixture
def plants(tmp_path: Path) -> Iterator[Plants]:
    with Plants(tmp_path / "plants") as plants:
        yield plants


def address_of(plants: Plants) -> str:
    return (plants.coordinator_state / "operator" / "address").read_text().strip()


@pytest.mark.slow
def test_agent_renews_by_itself_across_the_ends_of_its_certificates(
    plants: Plants, monkeypatch: pytest.MonkeyPatch
) -> None:
    with processes_run(SHORT_LIVES, monkeypatch):
        plants.start_coordinator()
        state = plants.add("plant-a")
        ends = [load_identity(state).validity[1].timestamp()]
        plants.run_site("plant-a")
        job = plants.submit_to("plant-a", rounds=12, steps=3, step_s=0.4)
        while time.time() < ends[0] + 8:
            ends.append(load_identity(state).validity[1].timestamp())
            time.sleep(0.1)
        assert len(set(ends)) >= 3  # the first one, and at least two renewals
        assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED
    assert "could not be renewed" not in plants.log("plant-a")
    assert "Refused" not in plants.log("plant-a")


@pytest.mark.parametrize("hours", [3, 23, -3, -30])
def test_site_whose_clock_is_hours_off_is_told_and_works(
    plants: Plants, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    with processes_run(CLOCK.format(offset_s=hours * 3600), monkeypatch):
        plants.start_coordinator()
        invited = plants.command(
            "coordinator", "invite", "plant-a", "--expires-in", "7d", "--state", str(plants.coordinator_state)
        )
    joined = plants.command(
        "client", "join", "--coordinator", invited["coordinator"], "--token", invited["token"],
        "--state", str(plants.site_state("plant-a")),
    )  # fmt: skip
    assert joined["site"] == "plant-a"
    plants.run_site("plant-a")
    plants.until_log("set the wrong one", "plant-a")
    assert plants.end_of(plants.submit_to("plant-a")).phase == jobs_pb2.JOB_PHASE_FINISHED


def test_site_whose_clock_is_days_behind_is_told_before_it_shows_its_token(
    plants: Plants, monkeypatch: pytest.MonkeyPatch
) -> None:
    with processes_run(CLOCK.format(offset_s=40 * 3600), monkeypatch):
        plants.start_coordinator()
        invited = plants.command("coordinator", "invite", "plant-a", "--state", str(plants.coordinator_state))
    with pytest.raises(EdgeFedError, match=r"ended with 9: .*this machine's clock says .* set the clock"):
        plants.command(
            "client", "join", "--coordinator", invited["coordinator"], "--token", invited["token"],
            "--state", str(plants.site_state("plant-a")),
        )  # fmt: skip


def test_agent_whose_clock_fell_days_behind_says_so_and_goes_on_once_it_is_set(
    plants: Plants, monkeypatch: pytest.MonkeyPatch
) -> None:
    plants.start_coordinator()
    address = address_of(plants)
    plants.add("plant-a")
    plants.kill("coordinator")
    with processes_run(CLOCK.format(offset_s=40 * 3600), monkeypatch):
        plants.start_coordinator(address)
    plants.run_site("plant-a")
    plants.until_log("a clock wrong? This machine's says", "plant-a")
    plants.kill("coordinator")
    plants.start_coordinator(address)
    assert plants.end_of(plants.submit_to("plant-a")).phase == jobs_pb2.JOB_PHASE_FINISHED
