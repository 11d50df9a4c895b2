"""Schedules: which connection gets which faults."""

from edgefed.chaos.faults import NO_FAULTS, RESET, first, sometimes


def test_the_same_connections_are_struck_when_the_seed_is_the_same() -> None:
    struck = [[sometimes(0.3, RESET, seed=seed)(n) is RESET for n in range(200)] for seed in (1, 1, 2)]
    assert struck[0] == struck[1] != struck[2]
    assert 30 <= sum(struck[0]) <= 90


def test_only_the_first_connections_are_struck_when_so_many_are_named() -> None:
    assert [first(2, RESET)(number) for number in (1, 2, 3)] == [RESET, RESET, NO_FAULTS]
