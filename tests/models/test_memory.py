import numpy as np
import pytest

from models.memory import MemoryBank, concatenate, from_arrays, to_arrays

ROWS = np.eye(3, 4, dtype=np.float32)
COUNTS = np.array([1, 2, 3], np.float32)


def test_a_bank_survives_the_wire_when_float16_holds_its_rows():
    bank = from_arrays(to_arrays(MemoryBank(ROWS, COUNTS)))
    np.testing.assert_array_equal(bank.rows, ROWS)
    np.testing.assert_array_equal(bank.counts, COUNTS)
    assert (len(bank), bank.width, bank.rows.dtype) == (3, 4, np.float32)


@pytest.mark.parametrize(
    ("rows", "counts", "fault"),
    [
        (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), r"shape \(m, d\); these are \(0, 4\)"),
        (np.zeros(4, np.float32), COUNTS, r"these are \(4,\)"),
        (ROWS, COUNTS[:2], r"3 rows need as many counts; these are \(2,\)"),
        (np.where(np.eye(3, 4) > 0, np.nan, 1).astype(np.float32), COUNTS, "3 of 3 rows hold NaN"),
        (np.full((3, 4), np.inf, np.float32), COUNTS, "3 of 3 rows hold NaN or infinity"),
        (ROWS, np.array([1, 0, -1], np.float32), "2 of 3 counts"),
        (ROWS, np.array([1, np.nan, 1], np.float32), "1 of 3 counts"),
    ],
)
def test_a_bank_is_refused_with_figures_when_it_cannot_be_one(rows, counts, fault):
    with pytest.raises(ValueError, match=fault):
        MemoryBank(rows, counts)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rows": None}, "'rows' is missing"),
        ({"counts": None}, "'counts' is missing"),
        ({"rows": ROWS}, "'rows' is float32, not float16"),
        ({"counts": COUNTS.astype(np.int64)}, "'counts' is int64, not float32"),
        ({"images": COUNTS}, "not 'images'"),
    ],
)
def test_tensors_are_refused_when_they_are_not_those_of_a_bank(change, fault):
    arrays = {**to_arrays(MemoryBank(ROWS, COUNTS)), **change}
    with pytest.raises(ValueError, match=fault):
        from_arrays({name: array for name, array in arrays.items() if array is not None})


def test_banks_are_joined_in_order_when_their_widths_agree():
    other = MemoryBank(2 * ROWS[:1], COUNTS[:1])
    joined = concatenate([other, MemoryBank(ROWS, COUNTS)])
    np.testing.assert_array_equal(joined.rows, np.concatenate([2 * ROWS[:1], ROWS]))
    np.testing.assert_array_equal(joined.counts, [1, 1, 2, 3])


def test_banks_are_not_joined_when_their_widths_differ():
    with pytest.raises(ValueError, match=r"widths \[2, 4\]"):
        concatenate([MemoryBank(ROWS, COUNTS), MemoryBank(ROWS[:, :2] + 1, COUNTS)])
