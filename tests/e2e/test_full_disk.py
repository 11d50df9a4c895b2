"""Full disks on either side, for real: a clear state, nothing corrupt, and the work goes on by itself with room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.backup import back_up
from coordinator.state import open_state
from edge_client.ledger import read_ledger
from edge_client.outbox import Outbox
from protos.artifacts import digest_of_file
from protos.errors import EdgeFedError, StateError
from protos.v1 import jobs_pb2
from tests.e2e.small_disk import SmallDisk
from tests.edge_client.plants import Plants

ROWS = 60_000
UPDATE = ROWS * 4 * 4  # bytes of one site's update; the model of two sites is twice that
MIB = 1 << 20
ROOM = 48 * MIB


class Disks(Plants):
    """Two sites and a coordinator, each with a state folder on a small disk of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sites = ("plant-a", "plant-b")
        self.calm: list[bytes] = []
        self.coordinator_disk = SmallDisk(self.coordinator_state, ROOM)
        self.site_disk = SmallDisk(self.site_state("plant-a"), ROOM)

    def begin(self) -> None:
        self.start_coordinator()
        for site in self.sites:
            self.add(site)
            self.run_site(site)

    def job(self, name: str, **policy: Any) -> str:
        return self.submit_to(*self.sites, job=name, rounds=2, policy=policy, rows=ROWS, steps=2, step_s=0.3)

    def models(self, job: str) -> list[bytes]:
        """The digests of a finished job's models, once every one of its artifacts was found whole."""
        status = self.end_of(job)
        assert status.phase == jobs_pb2.JOB_PHASE_FINISHED, status.reason
        assert [list(past.committed) for past in status.history] == [list(self.sites)] * 2
        for path in self.coordinator_state.glob("artifacts/??/*"):
            assert path.suffix or digest_of_file(path) == path.name
        return [past.global_digest for past in status.history]

    def coordinator_log(self) -> str:
        return self.log("coordinator")

    def until_installed(self, job: str) -> None:
        for site in self.sites:
            self.until_log(f"job {job}: the model of round 2 is installed", site)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    """The federation, after one undisturbed job."""
    disks = Disks(tmp_path_factory.mktemp("disks"))
    with disks:
        disks.begin()
        disks.job("calm")
        disks.calm = disks.models("calm")
        disks.until_installed("calm")
        yield disks
    disks.coordinator_disk.close()
    disks.site_disk.close()


@pytest.fixture(autouse=True)
def room(disks: Disks) -> Iterator[None]:
    yield
    disks.coordinator_disk.clear()
    disks.site_disk.clear()


@pytest.mark.parametrize(
    ("name", "left"), [("nothing", 0), ("database", 4096), ("upload", UPDATE // 2), ("model", 2 * UPDATE + 64 * 1024)]
)
def test_job_goes_on_when_the_coordinator_has_room_again(disks: Disks, name: str, left: int) -> None:
    job = disks.job(f"coordinator-{name}")
    disks.until(lambda: f"job {job}: round 1 of 2" in disks.log("plant-a"), "coordinator")
    disks.coordinator_disk.leave(left)
    said = len(disks.coordinator_log()), len(disks.log("plant-a"))

    def told() -> bool:
        words = disks.coordinator_log()[said[0] :] + disks.log("plant-a")[said[1] :]
        return f"job {job} waits" in words or "make room" in words

    disks.until(told, "coordinator")
    disks.coordinator_disk.clear()
    assert disks.models(job) == disks.calm
    disks.until_installed(job)
    assert "Traceback" not in disks.coordinator_log() + disks.log("plant-a") + disks.log("plant-b")


def test_submission_to_a_full_coordinator_is_refused_in_words_and_works_later(disks: Disks) -> None:
    disks.coordinator_disk.leave()
    assert disks.coordinator_disk.is_full()
    with pytest.raises(StateError, match="make room"):
        disks.job("submitted-late")
    disks.coordinator_disk.clear()
    disks.job("submitted-late")
    assert disks.models("submitted-late") == disks.calm
    disks.until_installed("submitted-late")


def test_coordinator_that_is_started_on_a_full_disk_serves_or_says_what_to_do(disks: Disks) -> None:
    address = (disks.coordinator_state / "operator" / "address").read_text().strip()
    disks.kill("coordinator")
    disks.coordinator_disk.leave()
    try:
        disks.start_coordinator(address)
    except EdgeFedError as error:
        assert "make room" in str(error)
        disks.coordinator_disk.clear()
        disks.start_coordinator(address)
    disks.coordinator_disk.clear()
    disks.job("after-restart")
    assert disks.models("after-restart") == disks.calm
    disks.until_installed("after-restart")


def test_backup_onto_a_full_disk_is_told_and_leaves_nothing(disks: Disks) -> None:
    disks.coordinator_disk.leave(MIB)
    before = set(disks.coordinator_state.iterdir())
    with pytest.raises(StateError, match="make room"):
        back_up(open_state(disks.coordinator_state), disks.coordinator_state / "b.tar")
    assert set(disks.coordinator_state.iterdir()) - before <= {disks.coordinator_state / "artifacts.lock"}
    disks.coordinator_disk.clear()
    back_up(open_state(disks.coordinator_state), disks.folder / "b.tar")


@pytest.mark.parametrize("left", [0, 4096, UPDATE // 2, UPDATE + 8192, UPDATE + 4 * 4096])
def test_job_goes_on_when_the_site_has_room_again(disks: Disks, left: int) -> None:
    # With a page or two more each time, it is another file that does not fit: state, update, outbox, ledger, download.
    job = disks.job(f"site-{left}")
    disks.until(lambda: f"job {job}: round 1 of 2" in disks.log("plant-a"), "plant-a")
    disks.site_disk.leave(left)
    disks.until(lambda: f"job {job}: " in disks.log("plant-a") and "trying again in" in words(disks, job), "plant-a")
    disks.site_disk.clear()
    assert disks.models(job) == disks.calm
    disks.until_installed(job)
    state = disks.site_state("plant-a")
    assert {entry.round for entry in read_ledger(state / "ledger.jsonl") if entry.job == job} == {1, 2}
    assert Outbox(state / "outbox").waiting() == []
    assert "Traceback" not in disks.log("plant-a")


def test_agent_starts_on_a_full_disk_and_works_when_there_is_room(disks: Disks) -> None:
    disks.kill("plant-a")
    disks.site_disk.leave()
    said = len(disks.log("plant-a"))
    disks.run_site("plant-a")
    disks.until(lambda: "connected to" in disks.log("plant-a")[said:], "plant-a")
    job = disks.job("started-full")
    disks.until(lambda: "trying again in" in words(disks, job), "plant-a")
    disks.site_disk.clear()
    assert disks.models(job) == disks.calm
    disks.until_installed(job)


def words(disks: Disks, job: str) -> str:
    return "".join(line for line in disks.log("plant-a").splitlines() if f"job {job}:" in line)
