import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from models.fedavg.aggregate import aggregate
from models.fedavg.method import FEDAVG
from models.fedavg.settings import Settings
from models.method import SiteData, Unusable, Update
from models.parts import Parts


def _update(site: str, weight: float, **arrays: np.ndarray) -> Update:
    return Update(site, weight, arrays)


def test_two_sites_give_the_mean_by_their_weights_as_computed_by_hand():
    one, two = np.array([1, 5], np.float32), np.array([3, 1], np.float32)
    mean = aggregate(Settings(), None, [_update("a", 1.0, w=one), _update("b", 3.0, w=two)], 0).arrays
    np.testing.assert_allclose(mean["w"], [2.5, 2.0])
    np.testing.assert_array_equal(one, [1, 5])


def test_a_stale_update_counts_by_its_discount():
    fresh, stale = _update("a", 1.0, w=np.zeros(1, np.float32)), np.ones(1, np.float32)
    mean = aggregate(Settings(), None, [fresh, Update("b", 1.0, {"w": stale}, discount=0.25)], 0).arrays
    np.testing.assert_allclose(mean["w"], [0.2])


def test_a_model_of_several_chunks_keeps_shape_and_type():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(700, 800)).astype(np.float16) for _ in range(3)]
    mean = aggregate(Settings(), None, [_update(str(i), 1.0, w=part) for i, part in enumerate(parts)], 0).arrays["w"]
    assert mean.dtype == np.float16
    np.testing.assert_allclose(mean, np.mean([part.astype(np.float64) for part in parts], axis=0), atol=2e-3)


class _Made(Parts):
    """One tensor that is made each time it is looked up, as a file's are read."""

    def __init__(self, value: float, size: int) -> None:
        self._value, self._size = value, size

    def __getitem__(self, name: str) -> np.ndarray:
        return np.full(self._size, self._value, np.float32)

    def __iter__(self) -> Iterator[str]:
        return iter(["w"])

    def __len__(self) -> int:
        return 1

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        return np.dtype(np.float32), (self._size,)

    def part(self, name: str, start: int, stop: int) -> np.ndarray:
        return np.full(stop - start, self._value, np.float32)


def test_memory_does_not_grow_with_the_sites():
    model, peaks = 8 << 20, []
    for sites in (3, 12):
        updates = [Update(str(site), 1.0, _Made(site, model // 4)) for site in range(sites)]
        tracemalloc.start()
        aggregate(Settings(), None, updates, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    # The mean, the update in hand and the next one being read.
    assert peaks[1] < 3.3 * model


def test_no_update_gives_no_mean():
    with pytest.raises(ValueError, match="no update"):
        aggregate(Settings(), None, [], 0)


def test_a_site_is_told_when_a_job_asks_fedavg_itself_to_train(tmp_path):
    with pytest.raises(Unusable, match="has no training of its own"):
        FEDAVG.declare(Settings(), SiteData([], "", {}, tmp_path, "a"))
