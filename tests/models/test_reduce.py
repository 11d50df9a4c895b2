import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from models.kmeans import kmeans
from models.memory import MemoryBank
from models.reduce import reduce_bank


def _bank(m: int, d: int, seed: int) -> MemoryBank:
    rng = np.random.default_rng(seed)
    return MemoryBank(rng.normal(size=(m, d)).astype(np.float32), rng.integers(1, 50, m).astype(np.float32))


def test_two_cells_give_weighted_averages_as_computed_by_hand():
    rows = np.array([[0, 0], [2, 0], [50, 0]], np.float32)
    bank = MemoryBank(rows, np.array([1, 3, 5], np.float32))
    small = reduce_bank(bank, 2, seed=0)
    order = np.argsort(small.rows[:, 0])
    # In the first cell both rows lie 1 from the anchor (1, 0), so only their counts tell: (1*0 + 3*2) / 4.
    np.testing.assert_allclose(small.rows[order], [[1.5, 0], [50, 0]], atol=1e-5)
    np.testing.assert_array_equal(small.counts[order], [4, 5])


def test_a_near_row_weighs_more_than_a_far_one_when_their_counts_agree():
    rows = np.array([[0.0], [1.0], [5.0], [100.0]], np.float32)
    small = reduce_bank(MemoryBank(rows, np.ones(4, np.float32)), 2, seed=0)
    distances = np.array([2.0, 1.0, 3.0]) ** 2  # from the anchor at 2
    weights = np.exp(-distances / distances.mean())
    assert small.rows.min() == pytest.approx(weights @ [0, 1, 5] / weights.sum(), abs=1e-5)


def test_a_bank_is_unchanged_when_it_is_small_enough():
    bank = _bank(8, 3, 0)
    assert reduce_bank(bank, 8, seed=0) is bank


def test_equal_rows_are_averaged_when_the_cell_has_no_extent():
    small = reduce_bank(MemoryBank(np.ones((6, 2), np.float32), np.ones(6, np.float32)), 2, seed=0)
    np.testing.assert_allclose(small.rows, 1)
    assert small.counts.sum() == 6


def test_the_bytes_are_equal_when_the_seed_is_equal():
    first, second = (reduce_bank(_bank(200, 8, 1), 40, seed=5) for _ in range(2))
    assert first.rows.tobytes() == second.rows.tobytes()


@settings(max_examples=40, deadline=None)
@given(m=st.integers(2, 24), d=st.integers(1, 4), rows=st.integers(1, 12), seed=st.integers(0, 30))
def test_each_row_lies_in_the_hull_of_its_cell_whatever_the_bank(m, d, rows, seed):
    bank = _bank(m, d, seed)
    small = reduce_bank(bank, rows, seed)
    assert len(small) <= max(rows, 1) or small is bank
    assert small.counts.sum() == pytest.approx(bank.counts.sum())
    if small is bank:
        return
    labels = kmeans(bank.rows, rows, seed, n_init=2).labels
    for index, row in enumerate(small.rows):
        cell = bank.rows[labels == index].astype(np.float64)
        # A convex combination exists that is within float32 rounding of the row: |cell.T w - row| <= e, sum w = 1.
        identity = np.vstack([cell.T, -cell.T])
        bound = np.concatenate([row + 1e-4, 1e-4 - row])
        found = linprog(np.zeros(len(cell)), identity, bound, np.ones((1, len(cell))), [1.0], bounds=(0, 1))
        assert found.status == 0
