from dataclasses import replace

import numpy as np
import pytest

from models.feddymem.aggregate import aggregate, check
from models.feddymem.settings import Aggregation, Memory, Settings
from models.memory import MemoryBank, to_arrays
from models.method import RejectedUpdate, Update

DECLARATION = {"width": "4"}


def _unit_rows(m: int, d: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(m, d)).astype(np.float32)
    return 0.95 * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _update(site: str, rows: np.ndarray, count: float = 1.0) -> Update:
    arrays = to_arrays(MemoryBank(rows, np.full(len(rows), count, np.float32)))
    return Update(site, float(len(rows)), arrays)


def test_a_good_bank_is_taken():
    check(Settings(), DECLARATION, None, _update("a", _unit_rows(256, 4)).arrays)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (_unit_rows(5, 3), "the rows have 3 features where the site declared 4"),
        (_unit_rows(257, 4), "257 rows where the job takes at most 256"),
        (np.vstack([_unit_rows(5, 4), np.zeros((2, 4), np.float32)]), "2 of 7 rows are all zero"),
        (7 * _unit_rows(5, 4), r"the longest row has length 6\.65"),
    ],
)
def test_a_bank_is_refused_with_figures_when_it_cannot_be_right(rows, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        check(Settings(), DECLARATION, None, _update("a", rows).arrays)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rows": np.full((2, 4), np.nan, np.float16)}, "2 of 2 rows hold NaN"),
        ({"rows": np.zeros((0, 4), np.float16), "counts": np.zeros(0, np.float32)}, r"\(0, 4\)"),
        ({"counts": np.array([1, -1], np.float32)}, "1 of 2 counts"),
        ({"counts": np.array([1, np.nan], np.float32)}, "1 of 2 counts"),
        ({"counts": np.array([1, 3e38], np.float32)}, r"a row stands for 3e\+38 patches; 1e\+12 are the most"),
        ({"counts": np.array([1, 2], np.int64)}, "int64, not float32"),
        ({"rows": np.zeros((2, 0), np.float16)}, r"\(2, 0\)"),
        ({"rows": np.full((2, 4), 65504, np.float16)}, r"length 1\.31e\+05"),
        ({"n" * 100_000: np.ones(1, np.float32)}, "not 'n{60}'$"),
        ({"generator.weight": np.ones(3, np.float32)}, r"not 'generator\.weight'"),
        ({"rows": np.ones((2, 4), np.float64)}, "float64, not float16"),
    ],
)
def test_a_hostile_update_is_refused(change, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        check(Settings(), DECLARATION, None, {**_update("a", _unit_rows(2, 4)).arrays, **change})


def test_the_whole_bank_may_be_sent_when_memory_reduce_is_off():
    check(Settings(memory=Memory(reduce=False)), DECLARATION, None, _update("a", _unit_rows(512, 4)).arrays)


def test_two_sites_with_two_products_give_the_mean_of_each():
    near_x, near_y = np.array([[0.9, 0], [0.9, 0.2]], np.float32), np.array([[0, 0.9], [0.2, 0.9]], np.float32)
    settings = Settings(aggregation=Aggregation(rows=2))
    found = aggregate(settings, None, [_update("a", near_x, 5), _update("b", near_y, 1)], 0).arrays
    order = np.argsort(found["rows"][:, 0])
    np.testing.assert_allclose(found["rows"][order], [[0.1, 0.9], [0.9, 0.1]], atol=1e-3)
    np.testing.assert_array_equal(found["counts"][order], [2, 10])


def test_a_row_counts_the_same_whatever_its_count():
    rows = np.array([[0.1, 0], [0.9, 0]], np.float32)
    settings = Settings(aggregation=Aggregation(rows=1))
    small = aggregate(settings, None, [_update("a", rows[:1], 1000), _update("b", rows[1:], 1)], 0).arrays
    np.testing.assert_allclose(small["rows"], [[0.5, 0]], atol=1e-3)


def test_all_rows_stay_when_they_are_not_more_than_asked_for_or_k_means_is_off():
    updates = [_update("a", _unit_rows(300, 4, 1)), _update("b", _unit_rows(3, 4, 2))]
    everything = np.concatenate([update.arrays["rows"] for update in updates])
    for settings in (Settings(), Settings(aggregation=Aggregation(kmeans=False, rows=8))):
        np.testing.assert_array_equal(aggregate(settings, None, updates, 0).arrays["rows"], everything)


def test_the_bytes_are_equal_when_updates_and_seed_are_equal():
    updates = [_update(site, _unit_rows(256, 16, index)) for index, site in enumerate("abc")]
    first, second = (aggregate(Settings(), None, iter(updates), 3).arrays for _ in range(2))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }
    assert first["rows"].shape == (512, 16)


def test_a_bank_of_one_row_over_and_over_takes_one_centre():
    same = np.repeat(_unit_rows(1, 4, 9), 256, axis=0)
    updates = [_update("a", _unit_rows(256, 4, 1)), _update("b", same)]
    check(Settings(), DECLARATION, None, updates[1].arrays)
    found = aggregate(Settings(aggregation=Aggregation(rows=64)), None, updates, 0).arrays["rows"].astype(np.float32)
    assert (np.linalg.norm(found - same[0], axis=1) < 1e-2).sum() == 1


def test_the_rows_of_a_stale_bank_weigh_their_discount():
    one, two = np.array([[0.1, 0]], np.float32), np.array([[0.9, 0]], np.float32)
    updates = [_update("a", one), replace(_update("b", two), discount=0.25)]
    found = aggregate(Settings(aggregation=Aggregation(rows=1)), None, updates, 0).arrays
    np.testing.assert_allclose(found["rows"], [[0.26, 0]], atol=1e-3)


def test_the_farthest_rows_are_left_out_when_k_means_is_trimmed():
    near, far = np.array([[0.1, 0], [0.1, 0.02], [0.12, 0]], np.float32), np.array([[-0.9, 0]], np.float32)
    settings = Settings(aggregation=Aggregation(rows=1, trim=0.25))
    found = aggregate(settings, None, [_update("a", near, 2), _update("b", far, 5)], 0).arrays
    np.testing.assert_allclose(found["rows"], [near.mean(axis=0)], atol=1e-3)
    assert found["counts"] == 6
