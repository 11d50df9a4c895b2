"""The profiles as data, and the plan that a seed makes of them."""

from itertools import pairwise

import pytest

from edgefed.chaos.cli import ProfileName
from edgefed.chaos.faults import NO_FAULTS
from edgefed.chaos.plan import faults_under, first_end_s, on_top, plan
from edgefed.chaos.profiles import FACTORY_WIFI, HOSPITAL_VPN, PROFILES, Profile

every_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


def test_command_offers_every_profile() -> None:
    assert [name.value for name in ProfileName] == list(PROFILES)


@every_profile
def test_plan_keeps_to_the_profile(profile: Profile) -> None:
    speed, day = profile.speed, 86_400 / profile.speed
    planned = plan(profile, seconds=day, speed=speed, seed=7)
    assert {one.mishap.name for one in planned} == {mishap.name for mishap in profile.mishaps}
    for one in planned:
        low, high = one.mishap.lasts_s
        assert low - 1e-6 <= (one.ends - one.begins) * speed <= high + 1e-6
    low, high = profile.calm_s
    assert all(low - 1e-6 <= (later.begins - one.ends) * speed <= high + 1e-6 for one, later in pairwise(planned))
    assert planned[-1].ends <= day


@every_profile
def test_same_seed_gives_the_same_plan(profile: Profile) -> None:
    plans = [plan(profile, seconds=7200, speed=60, seed=seed) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


@every_profile
def test_shortest_run_that_is_allowed_has_a_fault(profile: Profile) -> None:
    seconds = first_end_s(profile, 10)
    assert all(plan(profile, seconds=seconds, speed=10, seed=seed) for seed in range(200))


def test_every_kind_happens_equally_often() -> None:
    kinds = [one.mishap.name for one in plan(FACTORY_WIFI, seconds=1e4, speed=1, seed=0)]
    assert {len(set(kinds[start : start + 4])) for start in range(0, len(kinds) - 4, 4)} == {4}


def test_mishap_tells_running_from_arriving_connections_and_keeps_the_line() -> None:
    (first, *_) = plan(HOSPITAL_VPN, seconds=1e5, speed=1, seed=0)
    schedule = faults_under(HOSPITAL_VPN, first, connections=3, seed=0)
    assert [schedule(number).up.at_limit for number in (1, 3, 4)] == ["blackhole", "blackhole", "stall"]
    assert schedule(1).down.bytes_per_s == HOSPITAL_VPN.line.down.bytes_per_s


def test_only_a_share_is_struck_when_the_mishap_says_so() -> None:
    roaming = next(one for one in plan(FACTORY_WIFI, seconds=1e4, speed=1, seed=0) if one.mishap.name == "roaming")
    schedule = faults_under(FACTORY_WIFI, roaming, connections=1000, seed=0)
    struck = sum(schedule(number) != FACTORY_WIFI.line for number in range(1, 1001))
    assert 600 < struck < 800


def test_nothing_on_top_leaves_the_line() -> None:
    assert on_top(HOSPITAL_VPN.line, NO_FAULTS) == HOSPITAL_VPN.line
