"""Recovery, from what was seen of the connections."""

import pytest

from edgefed.chaos.observations import Incident, Sample, recovery_s

CUT = Incident("cut", 10.0, 12.0)


def _samples(*pairs: tuple[float, int]) -> list[Sample]:
    return [Sample(at, working) for at, working in pairs]


@pytest.mark.parametrize(
    ("samples", "recovery"),
    [
        pytest.param(_samples((0, 2)), 0.0, id="nothing was struck"),
        pytest.param(_samples((0, 2), (10.1, 0), (11, 2)), 0.0, id="back before the end"),
        pytest.param(_samples((0, 2), (10.1, 0), (15, 1), (16.5, 2)), 4.5, id="the last one counts"),
        pytest.param(_samples((0, 2), (10.1, 0), (13, 2), (13.5, 1), (20, 2)), 8.0, id="a second drop counts"),
        pytest.param(_samples((0, 2), (12.3, 0), (14, 2)), 2.0, id="a drop soon after the end counts"),
        pytest.param(_samples((0, 2), (9.5, 3), (10.1, 0), (13, 2)), 1.0, id="a short one need not come back"),
        pytest.param(_samples((0, 2), (10.1, 0), (13, 1)), None, id="one is missing"),
        pytest.param(_samples((0, 2), (10.1, 0), (29.5, 2)), None, id="not for long enough yet"),
    ],
)
def test_recovery_is_told_when_all_connections_work_again(samples: list[Sample], recovery: float | None) -> None:
    assert recovery_s(CUT, samples, now=30.0) == recovery
