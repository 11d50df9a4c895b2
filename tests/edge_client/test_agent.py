"""Agents as processes, with a coordinator as a process, over everything that lies between them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.operator_channel import connect
from edge_client.job_folder import standings
from edge_client.ledger import read_ledger
from protos.v1 import jobs_pb2
from tests.edge_client.plants import Plants, is_alive


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plants]:
    """One coordinator for the tests of this module; each test brings its own sites."""
    with Plants(tmp_path_factory.mktemp("plants")) as plants:
        plants.start_coordinator()
        yield plants


def test_a_job_ends_in_an_installed_model_at_every_site(plants: Plants) -> None:
    sites = ("plant-a", "plant-b")
    states = [plants.add(site) for site in sites]
    for site in sites:
        plants.run_site(site)
    job = plants.submit_to(*sites, rounds=2)
    assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED
    for site, state in zip(sites, states, strict=True):
        plants.until_log("the model of round 2 is installed", site)
        assert state.current_model() == job
        assert [standing.state for standing in standings(state)] == ["installed"]
        assert [(entry.job, entry.round) for entry in read_ledger(state.ledger)] == [(job, 1), (job, 2)]
        installed = sorted(path.name for path in (state.models / job).iterdir())
        assert installed == ["global.safetensors", "local.safetensors", "spec.json"]
        assert [*state.outbox.iterdir(), *state.artifacts.iterdir()] == []
        assert "trained: seen 2" in plants.log(site), "the site's own state came back in the second round"
        assert plants.workers(plants.process(site)) == []


def test_an_idle_agent_is_small_and_has_no_worker(plants: Plants) -> None:
    plants.add("plant-idle")
    plants.run_site("plant-idle")
    plants.until_log("connected to", "plant-idle")
    agent = plants.process("plant-idle")
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{agent}/status").read_text())
    assert resident
    assert int(resident[1]) <= 80 * 1024
    assert plants.workers(agent) == []


def test_the_coordinator_hears_why_when_a_site_declines(plants: Plants) -> None:
    state = plants.add("plant-few")
    plants.run_site("plant-few")
    status = plants.end_of(plants.submit_to("plant-few", fault="unusable"))
    assert status.phase == jobs_pb2.JOB_PHASE_FAILED
    assert "plant-few: there are 3 normal images; at least 10 are needed" in status.reason
    plants.until(lambda: [standing.state for standing in standings(state)] == ["declined"], "plant-few")


def test_the_log_has_the_workers_last_words_when_it_ends(plants: Plants) -> None:
    plants.add("plant-crash")
    plants.run_site("plant-crash")
    status = plants.end_of(plants.submit_to("plant-crash", fault="exit"))
    assert "WorkerEnded at the site; its log says more" in status.reason
    plants.until_log("ended with exit status 3: CUDA error: the device is gone", "plant-crash")


def test_a_message_stays_at_the_site_when_it_may_name_files(plants: Plants) -> None:
    plants.add("plant-secret")
    plants.run_site("plant-secret")
    status = plants.end_of(plants.submit_to("plant-secret", fault="secret"))
    assert status.phase == jobs_pb2.JOB_PHASE_FAILED
    assert "patient" not in str(status)
    plants.until_log("patient-0815.png is broken", "plant-secret")


def test_nothing_leaves_when_the_egress_contract_forbids_it(plants: Plants) -> None:
    state = plants.add("plant-strict")
    (state.root / "site.toml").write_text('[egress]\nallow = ["memory-bank"]\nmax_bytes = 100\n')
    plants.run_site("plant-strict")
    status = plants.end_of(plants.submit_to("plant-strict"))
    assert "the egress contract of the site allows at most 100 bytes" in status.reason
    assert read_ledger(state.ledger) == []
    assert list(state.outbox.iterdir()) == []


def test_a_job_goes_on_when_a_full_disk_has_room_again(plants: Plants, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        plants.site_state("plant-full").parent.mkdir(exist_ok=True)
        plants.site_state("plant-full").symlink_to(disk)
        state = plants.add("plant-full")
        filler = disk / "filler"
        filler.write_bytes(bytes(3 << 20))
        plants.run_site("plant-full")
        job = plants.submit_to("plant-full", rows=100_000)
        plants.until_log("No space left", "plant-full")
        filler.unlink()
        assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED
        plants.kill("plant-full")
        assert len(read_ledger(state.ledger)) == 1
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_work_is_stopped_when_the_job_is_cancelled(plants: Plants) -> None:
    state = plants.add("plant-long")
    plants.run_site("plant-long")
    job = plants.submit_to("plant-long", steps=1000, step_s=0.1)
    plants.until_log("round 1 of 1", "plant-long")
    (worker,) = plants.until(lambda: plants.workers(plants.process("plant-long")), "plant-long")
    with connect(plants.coordinator_state) as stub:
        stub.CancelJob(jobs_pb2.CancelJobRequest(job=job, reason="wrong backbone"))
    plants.until_log("round 1 was stopped", "plant-long")
    assert "wrong backbone" in standings(state)[0].reason
    plants.until(lambda: not is_alive(worker), "plant-long")


def test_a_round_is_done_again_when_the_agent_was_killed_in_it(plants: Plants) -> None:
    plants.add("plant-cut")
    plants.run_site("plant-cut")
    job = plants.submit_to("plant-cut", steps=20, step_s=0.1)
    plants.until_log("round 1 of 1", "plant-cut")
    (worker,) = plants.until(lambda: plants.workers(plants.process("plant-cut")), "plant-cut")
    os.kill(plants.process("plant-cut"), signal.SIGKILL)
    plants.until(lambda: not is_alive(worker), "plant-cut")
    plants.kill("plant-cut")
    plants.run_site("plant-cut")
    assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED


def test_an_update_is_delivered_later_when_the_coordinator_was_away(tmp_path: Path) -> None:
    """Both the coordinator and the agent are killed; the finished update survives and is not trained again."""
    with Plants(tmp_path / "federation") as plants:
        plants.start_coordinator()
        state = plants.add("plant-a")
        address = (plants.coordinator_state / "operator" / "address").read_text().strip()
        plants.run_site("plant-a")
        job = plants.submit_to("plant-a", steps=20, step_s=0.1)
        plants.until_log("round 1 of 1", "plant-a")
        plants.kill("coordinator")
        plants.until(lambda: list(state.outbox.glob("*.json")), "plant-a")
        plants.until_log("trying again", "plant-a")
        plants.kill("plant-a")
        plants.run_site("plant-a")
        plants.until(lambda: plants.log("plant-a").count("trying again until it is back") == 2, "plant-a")
        time.sleep(1)  # several attempts
        plants.start_coordinator(address)
        assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED
        assert plants.log("plant-a").count("trying again until it is back") == 2, "once for each agent"
        assert plants.log("plant-a").count(": trained:") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_worker_ends_with_the_agent_when_it_is_told_to_stop(
    plants: Plants, number: signal.Signals, code: int
) -> None:
    site = f"plant-{number.name.lower()}"
    state = plants.add(site)
    command = [sys.executable, "-m", "edgefed", "client", "run", "--state", str(state.root)]
    log = plants.folder / "logs" / f"{site}.log"
    with log.open("w") as stderr:
        agent = subprocess.Popen(command, stderr=stderr, env={**os.environ, **plants.environment})
    plants.submit_to(site, steps=1000, step_s=0.1)
    (worker,) = plants.until(lambda: plants.workers(agent.pid), site)
    agent.send_signal(number)
    assert agent.wait(20) == code
    assert f"stopped by {number.name}" in plants.log(site)
    assert not is_alive(worker)
