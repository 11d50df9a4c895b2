"""A slice of every family of faults; `make faults` runs them all."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.faults.crash_points import crash_trials, event_trials
from tests.faults.deployment import Deployment
from tests.faults.network import network_trials
from tests.faults.power_cuts import power_cut_trials
from tests.faults.transfers import transfer_trials
from tests.faults.trial import Trial, run, undisturbed

_KILLS = """
coordinator killed before the fsync of UpdateCommitted
coordinator killed after the fsync of UpdateCommitted
coordinator killed after the fsync of AggregationStarted
coordinator killed before the fsync of ModelPublished
coordinator killed after the fsync of RoundClosed
coordinator killed: an artifact is linked, without its row
coordinator killed: an aggregate is adopted, not published
client killed: training, at step 2
client killed: mid-upload, after 2 chunks
client killed: submitted, the answer is lost
client killed: mid-download, after 2 chunks
client killed: installed, not reported
aggregation worker killed: aggregating
training worker killed: training
network, prepare: reset, down
network, upload: reset, up
network, upload: one bit flipped, up
network, download: truncated, down
upload: only missing chunks travel, line reset
upload: a corrupt chunk is refused and sent again
download: a corrupt chunk is refused and sent again
"""
_POWER_CUTS = """
power cut at the coordinator: UpdateCommitted is recorded
power cut at the coordinator: an aggregate is adopted, not published
power cut at a site: in the outbox
power cut at a site: mid-download, after 2 chunks
power cut at a site: installed, the answer is lost
"""
_ALL = {
    trial.fault: trial
    for trial in chain(event_trials(), crash_trials(), network_trials(), transfer_trials(), power_cut_trials())
}


def assert_harmless(trial: Trial, deployment: Deployment) -> None:
    result = run(trial, deployment)
    harm = result.lost, result.duplicated, result.wrong_bytes
    assert (result.completed, harm) == (True, (0, 0, 0)), result.note


def test_undisturbed_job_gives_what_the_reference_computes(deployment: Deployment) -> None:
    assert_harmless(Trial("none", undisturbed), deployment)


@pytest.mark.parametrize("fault", _KILLS.strip().splitlines())
def test_job_completes_with_the_same_bytes_after(fault: str, deployment: Deployment) -> None:
    assert_harmless(_ALL[fault], deployment)


@pytest.mark.parametrize("fault", _POWER_CUTS.strip().splitlines())
def test_job_completes_with_the_same_bytes_after_a(fault: str, fragile_deployment: Deployment) -> None:
    assert_harmless(_ALL[fault], fragile_deployment)
