import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose

from models.parts import Parts
from models.wsa.fusion import apart, fuse, middle, spread
from models.wsa.scope import Scopes, scopes_of

RNG = np.random.default_rng(0)


def _scopes(*pairs: tuple[float, float]) -> Scopes:
    means, deviations = np.array(pairs, np.float64).T
    return Scopes(tuple(f"layer{i}.weight" for i in range(len(pairs))), means, deviations)


def test_a_scope_is_mean_and_population_deviation_of_a_layers_weights():
    weight = RNG.normal(0.3, 0.05, (700, 800)).astype(np.float32)  # several parts
    found = scopes_of({"fc.weight": weight})
    assert found.names == ("fc.weight",)
    assert_allclose(found.means, weight.mean(dtype=np.float64), rtol=1e-12)
    assert_allclose(found.deviations, weight.std(dtype=np.float64), rtol=1e-12)


def test_digits_are_kept_where_the_mean_is_far_from_zero():
    weight = (1000 + RNG.normal(0, 0.01, 10_000)).reshape(100, 100)
    assert_allclose(scopes_of({"fc.weight": weight}).deviations, weight.std(), rtol=1e-9)


def test_only_weights_of_layers_with_a_hundred_entries_have_a_scope():
    arrays = {
        "conv.weight": np.ones((4, 5, 5, 1), np.float32),
        "attention.in_proj_weight": np.ones((30, 10), np.float32),
        "conv.bias": np.ones(500, np.float32),
        "norm.weight": np.ones(500, np.float32),
        "tiny.weight": np.ones((9, 11), np.float32),
        "positions": np.ones((1, 100, 8), np.float32),
    }
    assert scopes_of(arrays).names == ("attention.in_proj_weight", "conv.weight")


def test_a_model_without_layers_has_no_scopes():
    assert scopes_of({"bias": np.ones(3, np.float32)}).names == ()


@pytest.mark.parametrize(("how", "deviation"), [("mean", 0.060), ("variance", 0.0632455532), ("mixture", 0.0634428877)])
def test_two_scopes_are_fused_as_computed_by_hand(how, deviation):
    fused = fuse([_scopes((0.0, 0.04)), _scopes((0.01, 0.08))], [1, 1], how)
    assert_allclose(fused.means, [0.005])
    assert_allclose(fused.deviations, [deviation])


def test_a_mixture_is_the_scope_of_all_weights_together():
    one, two = RNG.normal(0, 0.04, (20, 30)), RNG.normal(0.1, 0.08, (20, 30))
    fused = fuse([scopes_of({"a.weight": one}), scopes_of({"a.weight": two})], [5, 5], "mixture")
    assert_allclose(fused.deviations, np.concatenate([one, two]).std())


@pytest.mark.parametrize("how", ["mean", "variance", "mixture"])
def test_fusing_equal_models_or_one_model_changes_nothing(how):
    model = _scopes((0.1, 0.5), (-0.2, 0.01))
    for models in ([model], [model] * 3):
        fused = fuse(models, np.arange(1, len(models) + 1), how)
        assert_allclose(fused.means, model.means)
        assert_allclose(fused.deviations, model.deviations)


def test_a_site_with_more_weight_draws_the_fused_scope():
    fused = fuse([_scopes((0.0, 1.0)), _scopes((4.0, 5.0))], [3, 1], "mean")
    assert_allclose([fused.means[0], fused.deviations[0]], [1.0, 2.0])


def test_the_middle_is_not_moved_by_one_site():
    fused = middle([_scopes((0.0, 1.0)), _scopes((0.1, 1.1)), _scopes((1e9, 1e9))])
    assert_allclose([fused.means[0], fused.deviations[0]], [0.1, 1.1])


def test_spread_is_relative_and_zero_for_constant_layers():
    assert_allclose(spread([_scopes((0, 1.0), (0, 0.0)), _scopes((0, 3.0), (0, 0.0))]), [0.5, 0.0])


def test_how_far_a_site_is_apart_is_the_mean_over_layers():
    assert apart(_scopes((0, 1.1), (0, 0.7), (0, 5.0)), _scopes((0, 1.0), (0, 1.0), (0, 0.0))) == pytest.approx(0.2)


class _Made(Parts):
    """One large tensor whose parts are made when they are looked up, as a file's are read."""

    def __getitem__(self, name: str) -> np.ndarray:
        raise AssertionError("a scope needs no whole tensor")

    def __iter__(self) -> Iterator[str]:
        return iter(["fc.weight"])

    def __len__(self) -> int:
        return 1

    def layout(self, name: str) -> tuple[np.dtype, tuple[int, ...]]:
        return np.dtype(np.float32), (4096, 4096)

    def part(self, name: str, start: int, stop: int) -> np.ndarray:
        return np.arange(start, stop) % 2 * np.float32(2)


def test_a_model_in_a_file_is_never_read_whole():
    tracemalloc.start()
    found = scopes_of(_Made())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_allclose([found.means[0], found.deviations[0]], [1, 1])
    assert peak < 16 << 20  # the tensor has 64 MiB
