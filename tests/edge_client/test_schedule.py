from datetime import UTC, datetime, timedelta

import pytest

from edge_client.outbox import Parcel
from edge_client.schedule import Aside, is_of_round, jobs_aside, pause_s, seconds_aside, seconds_to_renewal, set_aside
from protos.artifacts import MEMORY_BANK, Manifest
from protos.v1 import work_pb2

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [pause_s(attempt, 0.0) for attempt in (1, 2, 3, 4)] == [0.125, 0.25, 0.5, 1.0]
    assert pause_s(10_000, 0.0) == 15.0


def test_the_pause_differs_by_its_jitter_up_to_twice() -> None:
    assert pause_s(1, 0.5) == 0.1875
    assert pause_s(1, 0.999) < 0.25


@pytest.mark.parametrize(("hours", "expected"), [(0, 6 * 3600), (6, 0), (8, -2 * 3600)])
def test_renewal_is_due_at_two_thirds_of_the_life(hours: int, expected: float) -> None:
    validity = (NOON, NOON + timedelta(hours=9))
    assert seconds_to_renewal(validity, NOON + timedelta(hours=hours)) == expected


def test_a_job_is_aside_until_its_time() -> None:
    assert jobs_aside({"a": Aside(1, 10.0), "b": Aside(1, 20.0)}, 15.0) == {"b"}


def test_the_first_job_aside_says_how_long_to_wait_for_other_work() -> None:
    assert seconds_aside({"a": Aside(1, 10.0), "b": Aside(1, 20.0), "c": Aside(1, 17.0)}, 15.0) == 2.0
    assert seconds_aside({"a": Aside(1, 10.0)}, 15.0) == float("inf")


def test_a_job_is_aside_longer_each_time_it_fails() -> None:
    aside, waits = None, []
    for _ in range(10):
        aside = set_aside(aside, 1000.0)
        waits.append(aside.until - 1000.0)
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0]


@pytest.mark.parametrize(("job", "round_number", "same"), [("a", 2, True), ("a", 3, False), ("b", 2, False)])
def test_a_parcel_is_of_the_leased_round(job: str, round_number: int, same: bool) -> None:
    parcel = Parcel("a", 2, 1, 1.0, "", Manifest("0" * 64, 1, MEMORY_BANK, (bytes(32),)))
    assert is_of_round(parcel, work_pb2.Train(job=job, round=round_number, epoch=5)) is same
