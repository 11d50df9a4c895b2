"""The robust rules: by hand, as properties, against the whole model at once, and their memory."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.fedavg import stack
from models.fedavg.aggregate import aggregate
from models.fedavg.krum import scores
from models.fedavg.settings import Aggregation, Settings
from models.method import RejectedUpdate, Update

ROBUST = [
    Aggregation(rule="median"),
    Aggregation(rule="trimmed-mean", assumed_bad=2),
    Aggregation(rule="krum", assumed_bad=2),
    Aggregation(rule="multi-krum", assumed_bad=2),
    Aggregation(clip_factor=1.0),
    Aggregation(rule="median", clip_norm=0.5),
]


def _updates(*values: object) -> list[Update]:
    return [Update(f"site-{i}", 1.0, {"w": np.asarray(value, np.float32)}) for i, value in enumerate(values)]


def _merge(updates, base=None, **chosen):
    return aggregate(Settings(aggregation=Aggregation(**chosen)), base, updates, 0)


def test_the_trimmed_mean_leaves_out_highest_and_lowest_of_each_value():
    found = _merge(_updates([1, 2], [2, 9], [3, 1], [100, 3], [4, -50]), rule="trimmed-mean", assumed_bad=1)
    np.testing.assert_allclose(found.arrays["w"], [3, 2])
    assert found.remarks == {}


def test_a_site_that_is_cut_everywhere_is_named():
    found = _merge(_updates([1, 1], [2, 2], [99, -99]), rule="trimmed-mean", assumed_bad=1)
    np.testing.assert_allclose(found.arrays["w"], [2, 1])
    assert found.remarks == {"site-2": "cut: 100% of its values are among the 1 highest or lowest"}


@pytest.mark.parametrize(("values", "middle"), [([1, 5, 3], 3), ([1, 5, 3, 100], 4)])
def test_the_median_is_the_middle_one_or_between_the_middle_two(values, middle):
    assert _merge(_updates(*values), rule="median").arrays["w"] == middle


def test_krum_takes_the_one_nearest_to_the_others_and_names_the_rest():
    values = [0.0, 1.0, 1.5, 2.0, 50.0]  # f = 1: each is judged by its two nearest
    found = _merge(_updates(*values), rule="krum", assumed_bad=1)
    assert found.arrays["w"] == 1.5  # 0.25 + 0.25
    assert set(found.remarks) == {"site-0", "site-1", "site-3", "site-4"}
    # site-4: (48^2 + 48.5^2) / 2 = 48.25^2
    assert found.remarks["site-4"] == (
        "left out by krum: its distance to the others is 48.3, the chosen one's at most 0.5"
    )


def test_multi_krum_is_the_mean_of_the_nearest():
    found = _merge(_updates(0.0, 1.0, 1.5, 2.0, 50.0), rule="multi-krum", assumed_bad=1)
    # Scores 3.25, 1.25, 0.5, 1.25 and 4656: two are taken, and of the equal ones the first by name.
    np.testing.assert_allclose(found.arrays["w"], 1.25)
    assert set(found.remarks) == {"site-0", "site-3", "site-4"}


def test_krum_scores_are_sums_over_the_nearest_neighbours():
    squared = np.square(np.subtract.outer(points := np.array([0.0, 1.0, 3.0, 7.0]), points))
    np.testing.assert_allclose(scores(squared, 2), [1 + 9, 1 + 4, 4 + 9, 16 + 36])


def test_a_long_step_is_shortened_to_the_bound_and_named():
    base = {"w": np.array([10, 10], np.float32)}
    found = _merge(_updates([13, 14], [10, 11]), base, clip_norm=2.5)
    np.testing.assert_allclose(found.arrays["w"], [10.75, 11.5])  # half of (1.5, 2) and (0, 1)
    assert found.remarks == {"site-0": "clipped: its step has norm 5, the bound is 2.5"}


def test_the_bound_may_be_a_multiple_of_the_median_step():
    base = {"w": np.zeros(1, np.float32)}
    found = _merge(_updates([1], [-2], [300]), base, clip_factor=1.5)
    np.testing.assert_allclose(found.arrays["w"], [2 / 3])
    assert found.remarks == {"site-2": "clipped: its step has norm 300, the bound is 3"}


def test_in_a_first_round_steps_are_from_the_median_of_the_sites():
    found = _merge(_updates([1], [2], [300]), None, clip_norm=1.0)
    np.testing.assert_allclose(found.arrays["w"], [2])


@pytest.mark.parametrize("chosen", ROBUST)
def test_a_site_gains_nothing_by_claiming_an_absurd_weight(chosen):
    rng = np.random.default_rng(0)
    honest = _updates(*rng.normal(size=(7, 20)))
    liar = [replace(honest[0], weight=2.0**53), *honest[1:]]
    one, two = (aggregate(Settings(aggregation=chosen), None, updates, 0).arrays for updates in (honest, liar))
    np.testing.assert_array_equal(one["w"], two["w"])


@pytest.mark.parametrize("weight", [1e30, float("inf"), float("nan"), 0.0, -1.0])
def test_an_update_with_a_hostile_weight_is_left_out_by_name(weight):
    updates = _updates(1.0, 3.0, 100.0)
    found = _merge([*updates[:2], replace(updates[2], weight=weight)])
    np.testing.assert_allclose(found.arrays["w"], 2)
    assert "its weight is" in found.remarks["site-2"]


def test_a_stale_step_is_shortened_by_its_discount():
    updates = _updates([8.0], [2.0], [2.0])
    found = _merge([replace(updates[0], discount=0.5), *updates[1:]], {"w": np.zeros(1, np.float32)}, rule="median")
    np.testing.assert_allclose(found.arrays["w"], [2])
    found = _merge([replace(updates[0], discount=0.5), *updates[1:]], {"w": np.zeros(1, np.float32)}, clip_norm=1e6)
    np.testing.assert_allclose(found.arrays["w"], [8 / 3])


@pytest.mark.parametrize(("rule", "needs"), [("krum", 7), ("multi-krum", 7), ("trimmed-mean", 5)])
def test_a_rule_with_too_few_updates_fails_rather_than_promise_nothing(rule, needs):
    with pytest.raises(ValueError, match=f"{rule} against 2 bad sites needs {needs} updates and has 4"):
        _merge(_updates(1, 2, 3, 4), rule=rule, assumed_bad=2)


def test_an_update_unlike_most_others_is_left_out_by_name_in_a_first_round():
    updates = [*_updates([1, 2], [3, 4]), Update("site-2", 1.0, {"v": np.ones(2, np.float32)})]
    for order in (updates, updates[::-1]):
        found = _merge(order)
        np.testing.assert_allclose(found.arrays["w"], [2, 3])
        assert "'v', 'w'" in found.remarks["site-2"]


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"v": np.ones(2, np.float32)}, "site-1: 2 of the tensors .* in that of site-0"),
        ({"w": np.ones(3, np.float32)}, r"site-1: the tensor 'w' is float32 \(3,\)"),
        ({"w": np.ones(2, np.float16)}, r"site-1: the tensor 'w' is float16 \(2,\)"),
    ],
)
def test_a_first_round_fails_by_name_when_no_majority_agrees(arrays, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        _merge([*_updates([1, 2]), Update("site-1", 1.0, arrays)])


@pytest.mark.parametrize("chosen", ROBUST)
def test_the_result_is_that_of_the_whole_when_updates_are_read_part_by_part(chosen, stored, monkeypatch):
    rng = np.random.default_rng(1)
    models = [
        {
            "conv": rng.normal(size=(5, 3, 3)).astype(np.float32),
            "half": rng.normal(size=17).astype(np.float16),
            "number": rng.normal(size=()).astype(np.float32),
            "nothing": np.empty((0, 4), np.float32),
        }
        for _ in range(7)
    ]
    base = {name: np.zeros_like(array) for name, array in models[0].items()}
    whole = aggregate(Settings(aggregation=chosen), base, stored(models), 0)
    monkeypatch.setattr(stack, "_VALUES", 7 * 4)
    parts = aggregate(Settings(aggregation=chosen), base, stored(models), 0)
    assert parts.remarks == whole.remarks
    for name, array in whole.arrays.items():
        assert (array.dtype, array.shape) == (models[0][name].dtype, models[0][name].shape)
        np.testing.assert_array_equal(parts.arrays[name], array)


@pytest.mark.parametrize("chosen", ROBUST)
def test_memory_does_not_grow_with_the_sites(chosen, stored, monkeypatch):
    monkeypatch.setattr(stack, "_VALUES", 1 << 18)
    model = np.arange(1 << 18, dtype=np.float32)
    peaks = []
    for sites in (7, 21):
        updates = stored([{"w": model + site} for site in range(sites)])
        tracemalloc.start()
        aggregate(Settings(aggregation=chosen), None, updates, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    assert peaks[1] < 8 * model.nbytes


values = st.integers(7, 11).flatmap(lambda n: arrays(np.float32, (n, 5), elements=st.floats(-100, 100, width=32)))


@settings(max_examples=60, deadline=None)
@given(values=values, order=st.randoms(use_true_random=False), chosen=st.sampled_from([Aggregation(), *ROBUST]))
def test_the_order_of_the_sites_plays_no_part(values, order, chosen):
    updates = _updates(*values)
    first = aggregate(Settings(aggregation=chosen), None, updates, 0)
    order.shuffle(updates)
    second = aggregate(Settings(aggregation=chosen), None, updates, 0)
    assert first.arrays["w"].tobytes() == second.arrays["w"].tobytes()
    assert first.remarks == second.remarks


@settings(max_examples=60, deadline=None)
@given(
    values=values, bad=st.lists(arrays(np.float32, 5, elements=st.floats(-(2.0**56), 2.0**56, width=32)), max_size=2)
)
def test_each_value_stays_among_the_honest_ones_with_two_bad_sites(values, bad):
    updates = _updates(*values, *bad)
    for chosen in (Aggregation(rule="trimmed-mean", assumed_bad=2), Aggregation(rule="median")):
        found = aggregate(Settings(aggregation=chosen), None, updates, 0).arrays["w"]
        assert (found >= values.min(axis=0)).all() and (found <= values.max(axis=0)).all()


@settings(max_examples=60, deadline=None)
@given(
    spread=arrays(np.float32, (7, 5), elements=st.floats(-1, 1, width=32)),
    far=st.floats(100, 2.0**50, width=32),
    colluders=st.integers(1, 2),
)
def test_krum_takes_no_colluder_even_where_they_are_all_alike(spread, far, colluders):
    updates = _updates(*spread, *[np.full(5, far)] * colluders)
    for rule in ("krum", "multi-krum"):
        found = _merge(updates, rule=rule, assumed_bad=2)
        assert {f"site-{7 + i}" for i in range(colluders)} <= set(found.remarks)
        assert np.abs(found.arrays["w"]).max() <= 1


def test_ten_thousand_tensors_are_merged():
    updates = [Update(str(i), 1.0, {f"t{j}": np.ones(1, np.float32) for j in range(10_000)}) for i in range(3)]
    assert len(_merge(updates, rule="median").arrays) == 10_000
