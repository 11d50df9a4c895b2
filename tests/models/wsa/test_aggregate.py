import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from models.fedavg.method import FEDAVG
from models.fedavg.settings import Aggregation
from models.method import RejectedUpdate, Update
from models.wsa.aggregate import aggregate, check
from models.wsa.published import ACTIVE, SPREAD, TARGET, published_target, weights_of
from models.wsa.settings import Alignment, Settings
from protos.tensors import TensorFile, write_tensors

# A job's global after its first round: the projection of the bands, and no network yet.
START = {"wsa.bands.mean": np.zeros(4, np.float32)}


def _chosen(alignment: Alignment | None = None, aggregation: Aggregation | None = None) -> Settings:
    return Settings(
        classes=("soil", "water"), alignment=alignment or Alignment(), aggregation=aggregation or Aggregation()
    )


def _model(deviation: float, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit = rng.standard_normal((10, 10))
    unit = (unit - unit.mean()) / unit.std()
    return {
        "fc.weight": (deviation * unit).astype(np.float32),
        "fc.bias": rng.standard_normal(10).astype(np.float32),
    }


def _updates(*deviations: float) -> list[Update]:
    return [Update(f"site-{i}", 1.0 + i, _model(deviation, i)) for i, deviation in enumerate(deviations)]


@pytest.mark.parametrize("rule", [Aggregation(), Aggregation(rule="median")], ids=lambda chosen: chosen.rule)
def test_the_network_is_fedavgs_to_the_bit(rule):
    settings, previous, expected = _chosen(Alignment(strength=0.0), rule), START, None
    for number in range(3):
        updates = [Update(u.site, u.weight, {n: a + number for n, a in u.arrays.items()}) for u in _updates(1, 2, 3)]
        expected = FEDAVG.aggregate(settings, expected, updates, 0).arrays
        previous = aggregate(settings, previous, updates, 0).arrays
        network = weights_of(previous)
        assert set(network) == set(expected)
        for name in expected:
            assert_array_equal(network[name].view(np.uint32), expected[name].view(np.uint32))


def test_the_fused_scope_is_published_with_the_model():
    published = aggregate(_chosen(), START, _updates(1.0, 4.0), 0).arrays  # weights 1 and 2
    assert_allclose(published[TARGET], [[0, 3]], atol=1e-6)
    target = published_target(published)
    assert target.names == ("fc.weight",)
    assert_allclose(target.deviations, [3], rtol=1e-6)
    assert_allclose(published[SPREAD], [0.6], rtol=1e-6)


def test_a_stale_update_draws_the_fused_scope_less():
    one, two = _updates(1.0, 4.0)
    stale = Update(two.site, two.weight, two.arrays, discount=0.25)
    assert_allclose(aggregate(_chosen(), START, [one, stale], 0).arrays[TARGET][0, 1], 2, rtol=1e-6)


def test_one_bad_site_does_not_set_the_target_when_the_job_expects_one():
    chosen = _chosen(aggregation=Aggregation(rule="trimmed-mean", assumed_bad=1))
    published = aggregate(chosen, START, _updates(1.0, 1.0, 1e6), 0).arrays
    assert_allclose(published[TARGET][0, 1], 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "deviations", "active"),
    [("auto", (1, 1.01), 0), ("auto", (1, 1.2), 1), ("always", (1, 1), 1), ("off", (1, 9), 0)],
)
def test_alignment_is_switched_on_by_the_spread_where_the_job_says_auto(mode, deviations, active):
    published = aggregate(_chosen(Alignment(mode=mode)), START, _updates(*deviations), 0).arrays
    assert published[ACTIVE] == [active]


def test_alignment_stays_on_when_it_has_brought_the_sites_together():
    first = aggregate(_chosen(), START, _updates(1, 2), 0).arrays
    assert aggregate(_chosen(), first, _updates(1, 1), 0).arrays[ACTIVE] == [1]


def test_the_record_says_how_far_the_sites_lie_apart():
    metrics = aggregate(_chosen(), START, _updates(1.0, 4.0), 0).metrics
    expected = {"scope_spread": 0.6, "aligning": 1.0, "scope_apart/site-0": 2 / 3, "scope_apart/site-1": 1 / 3}
    assert metrics == pytest.approx(expected, rel=1e-6)


def test_a_site_that_is_left_out_has_no_part_in_the_scope():
    odd = Update("site-9", 1e30, _model(100.0))
    aggregated = aggregate(_chosen(), START, [*_updates(1.0, 4.0), odd], 0)
    assert_allclose(aggregated.arrays[TARGET][0, 1], 3, rtol=1e-6)
    assert aggregated.remarks["site-9"].startswith("left out: its weight")


def test_what_the_coordinator_makes_is_refused_from_a_site():
    update = _model(1.0) | {TARGET: np.zeros((1, 2), np.float32)}
    with pytest.raises(RejectedUpdate, match=r"'wsa.target' is the coordinator's to make"):
        check(_chosen(), {}, START, update)


def test_an_update_is_compared_with_the_network_and_not_with_what_lies_beside_it():
    published = aggregate(_chosen(), START, _updates(1.0, 4.0), 0).arrays
    check(_chosen(), {}, published, _model(1.0))
    with pytest.raises(RejectedUpdate, match=r"1 of the tensors \('fc.bias'\)"):
        check(_chosen(), {}, published, {"fc.weight": _model(1.0)["fc.weight"]})


def test_memory_does_not_grow_with_the_sites(tmp_path: Path):
    size, peaks = 8 << 20, []
    for index in range(9):
        write_tensors(tmp_path / f"{index}", {"fc.weight": np.full((1024, size // 4096), index, np.float32)})
    for sites in (3, 9):
        updates = [Update(str(i), 1.0, TensorFile(tmp_path / f"{i}")) for i in range(sites)]
        tracemalloc.start()
        aggregate(_chosen(), START, updates, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
