import numpy as np

from models.feddymem.bank import first_bank, patches_for, remake_bank


def test_a_first_bank_holds_the_patches_kinds_and_their_counts():
    patches = np.repeat(np.eye(3, dtype=np.float32), [5, 2, 1], axis=0)
    bank = first_bank(patches, 3, seed=0)
    order = np.argsort(bank.counts)
    np.testing.assert_allclose(bank.rows[order], np.eye(3)[::-1], atol=1e-6)
    np.testing.assert_array_equal(bank.counts[order], [1, 2, 5])


def test_a_small_site_has_as_many_rows_as_patches():
    assert len(first_bank(np.eye(4, dtype=np.float32), 512, seed=0)) == 4


def test_enough_patches_are_drawn_for_large_banks():
    assert (patches_for(512), patches_for(4096)) == (20_000, 40_960)


def test_rows_move_towards_the_mean_of_their_patches_and_lost_ones_are_left_out():
    rows = np.array([[0, 0], [10, 0], [99, 99]], np.float32)
    blocks = [np.array([[1, 0], [11, 0]], np.float32), np.array([[3, 0]], np.float32)]
    bank = remake_bank(rows, iter(blocks), None, momentum=0.5)
    np.testing.assert_allclose(bank.rows, [[1.0, 0], [10.5, 0]])
    np.testing.assert_array_equal(bank.counts, [2, 1])
