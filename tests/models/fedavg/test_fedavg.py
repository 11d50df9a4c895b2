import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from models.fedavg.aggregate import aggregate, check
from models.fedavg.method import FEDAVG, Settings
from models.method import RejectedUpdate, SiteData, Unusable, Update


def _update(site: str, weight: float, **arrays: np.ndarray) -> Update:
    return Update(site, weight, arrays)


def test_two_sites_give_the_mean_by_their_weights_as_computed_by_hand():
    one, two = np.array([1, 5], np.float32), np.array([3, 1], np.float32)
    mean = aggregate(Settings(), None, [_update("a", 1.0, w=one), _update("b", 3.0, w=two)], 0).arrays
    np.testing.assert_allclose(mean["w"], [2.5, 2.0])
    np.testing.assert_array_equal(one, [1, 5])


def test_a_model_of_several_chunks_keeps_shape_and_type():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(700, 800)).astype(np.float16) for _ in range(3)]
    mean = aggregate(Settings(), None, [_update(str(i), 1.0, w=part) for i, part in enumerate(parts)], 0).arrays["w"]
    assert mean.dtype == np.float16
    np.testing.assert_allclose(mean, np.mean([part.astype(np.float64) for part in parts], axis=0), atol=2e-3)


def test_memory_does_not_grow_with_the_sites():
    model = 8 << 20

    def updates(sites: int) -> Iterator[Update]:
        for site in range(sites):
            yield _update(str(site), 1.0, w=np.full(model // 4, site, np.float32))

    peaks = []
    for sites in (3, 12):
        tracemalloc.start()
        aggregate(Settings(), None, updates(sites), 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    # The mean, the update in hand and the next one being read.
    assert peaks[1] < 3.3 * model


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        (_update("b", 1.0, v=np.ones(2, np.float32)), "b: the tensors v, w are not in every update"),
        (_update("b", 1.0, w=np.ones(3, np.float32)), r"b: the tensor 'w' is float32 \(3,\)"),
        (_update("b", 1.0, w=np.ones(2, np.float16)), r"b: the tensor 'w' is float16 \(2,\)"),
        (_update("b", 0.0, w=np.ones(2, np.float32)), r"b: the weight 0.0"),
        (_update("b", float("nan"), w=np.ones(2, np.float32)), r"b: the weight nan"),
    ],
)
def test_an_update_is_refused_by_site_when_it_does_not_fit_the_others(other, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        aggregate(Settings(), None, [_update("a", 1.0, w=np.ones(2, np.float32)), other], 0)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({}, "no tensor"),
        ({"w": np.array([1, np.nan, np.inf], np.float32)}, "holds 2 of 3 values"),
        ({"w": np.array([1], np.int64)}, "'w' is int64"),
    ],
)
def test_an_update_is_refused_with_figures_when_it_cannot_be_averaged(arrays, fault):
    with pytest.raises(RejectedUpdate, match=fault):
        check(Settings(), {}, None, arrays)


def test_no_update_gives_no_mean():
    with pytest.raises(ValueError, match="no update"):
        aggregate(Settings(), None, [], 0)


def test_a_site_is_told_when_a_job_asks_fedavg_itself_to_train(tmp_path):
    with pytest.raises(Unusable, match="has no training of its own"):
        FEDAVG.declare(Settings(), SiteData([], "", {}, tmp_path, "a"))
