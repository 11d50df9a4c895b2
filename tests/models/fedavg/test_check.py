import numpy as np
import pytest

from models.fedavg.aggregate import aggregate
from models.fedavg.check import check
from models.fedavg.settings import Aggregation, Settings
from models.method import RejectedUpdate, Update

BASE = {"w": np.zeros((2, 2), np.float32), "b": np.zeros(1, np.float16)}


def _like_base(**change: np.ndarray) -> dict[str, np.ndarray]:
    return {"w": np.ones((2, 2), np.float32), "b": np.ones(1, np.float16), **change}


def _taken(previous, arrays) -> dict[str, np.ndarray]:
    """What the coordinator makes of an update that it checked."""
    check(Settings(), {}, previous, arrays)
    return dict(aggregate(Settings(), previous, [Update("a", 1.0, arrays)], 0).arrays)


def test_an_update_like_its_base_is_taken():
    taken = _taken(BASE, _like_base())
    assert {name: (array.dtype, array.shape) for name, array in taken.items()} == {
        name: (array.dtype, array.shape) for name, array in BASE.items()
    }


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({}, "no tensor"),
        ({"w": np.array([1, np.nan, np.inf], np.float32)}, "holds 2 of 3 values that are not finite"),
        ({"w": np.array([1, np.nan], np.float16)}, "holds 1 of 2 values"),
        ({"w": np.array([1], np.int64)}, "'w' is int64"),
        ({"w": np.array([1], np.float64)}, "'w' is float64"),
        ({"w": np.full(4, 1e18, np.float32)}, r"its norm of 2e\+18 is absurd"),
        ({"w": np.full(4, 3e38, np.float32)}, r"its norm of 6e\+38 is absurd"),
        ({"n" * 100_000: np.array([np.nan], np.float32)}, r"the tensor 'n{60}…' holds 1 of 1"),
    ],
)
def test_an_update_is_refused_with_figures_when_it_cannot_be_averaged(arrays, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        check(Settings(), {}, None, arrays)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        (_like_base(w=np.ones(4, np.float32)), r"'w' is float32 \(4,\), in the model .* float32 \(2, 2\)"),
        (_like_base(w=np.ones((2, 2), np.float16)), r"'w' is float16 \(2, 2\)"),
        (_like_base(v=np.ones(1, np.float32)), r"1 of the tensors \('v'\)"),
        ({"w": np.ones((2, 2), np.float32)}, r"1 of the tensors \('b'\)"),
    ],
)
def test_an_update_is_refused_when_it_is_unlike_its_base(arrays, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        check(Settings(), {}, BASE, arrays)


def test_a_step_over_the_bound_is_refused_with_its_norm_and_none_in_a_first_round():
    bounded = Settings(aggregation=Aggregation(max_norm=2.0))
    base = {"w": np.full(4, 100, np.float32)}
    check(bounded, {}, base, {"w": np.full(4, 101, np.float32)})
    check(bounded, {}, None, {"w": np.full(4, 200, np.float32)})
    with pytest.raises(RejectedUpdate, match=r"norm 2\.2; the job's max_norm is 2"):
        check(bounded, {}, base, {"w": np.full(4, 101.1, np.float32)})


TINY = np.nextafter(np.float32(0), np.float32(1))


@pytest.mark.parametrize(
    "arrays",
    [
        {"empty": np.empty((0, 5), np.float32), "number": np.float32(3).reshape(())},
        {"denormal": np.full(3, TINY, np.float32), "largest": np.full(3, 65504, np.float16)},
        {f"t{i}": np.ones(1, np.float32) for i in range(10_000)},
    ],
    ids=["empty and scalar", "denormal and largest", "ten thousand"],
)
def test_harmless_oddities_are_taken_as_they_are(arrays):
    taken = _taken(None, arrays)
    assert taken.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(taken[name], array)
