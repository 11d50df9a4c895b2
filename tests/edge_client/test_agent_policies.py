"""Agents under a job's round policy: late updates, leaving, and several jobs for one site."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from coordinator.address import parse_address
from coordinator.operator_channel import connect
from edge_client.enrolment import join
from edge_client.job_folder import standings
from edgefed.chaos.faults import Toxics, both
from edgefed.chaos.threaded import ThreadedProxy
from protos.v1 import jobs_pb2
from tests.edge_client.plants import Plants


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plants]:
    """One coordinator for the tests of this module; each test brings its own sites."""
    with Plants(tmp_path_factory.mktemp("plants")) as plants:
        plants.start_coordinator()
        yield plants


def show(plants: Plants, job: str) -> jobs_pb2.JobStatus:
    with connect(plants.coordinator_state) as stub:
        return stub.ShowJob(jobs_pb2.ShowJobRequest(job=job))


def test_an_update_that_comes_late_is_told_what_became_of_it(plants: Plants) -> None:
    for site in ("plant-quick", "plant-slow"):
        plants.add(site)
        plants.run_site(site)
    policy = {"quorum": 1, "progress_s": 4.0, "late": "next-round"}
    job = plants.submit_to("plant-quick", "plant-slow", rounds=4, policy=policy, steps=5, step_s=0.1)
    plants.until_log("round 1 of 4", "plant-slow")
    agent = plants.process("plant-slow")
    os.kill(agent, signal.SIGSTOP)  # as if its network were gone; its worker trains on
    plants.until(lambda: show(plants, job).round == 2, "plant-quick")
    os.kill(agent, signal.SIGCONT)
    plants.until_log("round 1 was over; it is kept for the next round", "plant-slow")
    status = plants.end_of(job)
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert "plant-slow" in status.history[0].missing
    counted = [site for past in status.history for site in [*past.committed, *past.remarks]]
    assert counted.count("plant-slow") >= 3


def test_a_site_that_leaves_stops_its_work_at_once(plants: Plants) -> None:
    for site in ("plant-stays", "plant-leaves"):
        plants.add(site)
        plants.run_site(site)
    job = plants.submit_to("plant-leaves", "plant-stays", steps=40, step_s=0.1)
    plants.until_log("round 1 of 1", "plant-leaves")
    assert plants.client("plant-leaves", "leave", job, "--reason", "the line is rebuilt") == {"job": job, "left": True}
    plants.until_log("has left job job-of-plant-leaves: the line is rebuilt", "plant-leaves")
    status = plants.end_of(job)
    assert status.phase == jobs_pb2.JOB_PHASE_FINISHED
    assert dict(status.history[0].missing) == {"plant-leaves": "the line is rebuilt"}


def test_a_second_job_waits_in_the_queue_of_a_busy_site(plants: Plants) -> None:
    state = plants.add("plant-busy")
    plants.run_site("plant-busy")
    first = plants.submit_to("plant-busy", job="first", steps=40, step_s=0.1)
    plants.until_log("job first: round 1 of 1", "plant-busy")
    second = plants.submit_to("plant-busy", job="second")
    waits = ("second", "queued", "after a round of first")
    plants.until(lambda: waits in {(found.job, found.state, found.reason) for found in standings(state)}, "plant-busy")
    for job in (first, second):
        assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED


def test_no_round_counts_as_stopped_when_a_heartbeats_answer_overtakes_the_deliverys(plants: Plants) -> None:
    slow = both(Toxics(latency_s=0.05, jitter_s=0.2))
    made = plants.command("coordinator", "invite", "plant-far", "--state", str(plants.coordinator_state))
    with ThreadedProxy(parse_address(made["coordinator"]), slow) as line:
        join(plants.site_state("plant-far"), str(line.address), made["token"])
        plants.run_site("plant-far")
        job = plants.submit_to("plant-far", rounds=6)
        assert plants.end_of(job).phase == jobs_pb2.JOB_PHASE_FINISHED
    assert "was stopped" not in plants.log("plant-far")
