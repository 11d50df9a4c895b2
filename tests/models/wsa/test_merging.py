import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from models.wsa.curve import curve, refresh_statistics
from models.wsa.local import arrays_of
from models.wsa.merging import aligned, barrier, between, merge
from models.wsa.scope import Scopes, scopes_of


def _model(seed: int, deviation: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "fc.weight": (deviation * rng.standard_normal((40, 40))).astype(np.float32),
        "fc.bias": rng.standard_normal(40).astype(np.float32),
    }


def test_the_mean_of_models_is_the_mean_of_their_weights():
    one, two = _model(0), _model(1)
    found = merge([one, two], [1, 3], "mean")
    for name in one:
        assert_allclose(found[name], (one[name] + 3 * two[name]) / 4, atol=1e-6)


def test_the_mean_of_strangers_shrinks_and_wsa_brings_it_back_to_their_fused_scope():
    models = [_model(0, 1.0), _model(1, 2.0), _model(2, 3.0)]
    shrunk, stretched = (scopes_of(merge(models, [1, 1, 1], how)).deviations for how in ("mean", "wsa"))
    assert shrunk == pytest.approx(np.sqrt(14) / 3, rel=0.05)
    assert stretched == pytest.approx(2.0, rel=0.05)


def test_merging_a_model_with_itself_gives_it_back():
    model = _model(0)
    for how in ("mean", "wsa"):
        for name, array in merge([model, model], [1, 1], how).items():
            assert_allclose(array, model[name], atol=1e-6)


def test_the_way_begins_and_ends_at_the_models_themselves():
    one, two = _model(0), _model(1)
    assert_array_equal(between(one, two, 0, "wsa")["fc.weight"], one["fc.weight"])
    assert_array_equal(between(one, two, 1, "wsa")["fc.weight"], two["fc.weight"])
    near = between(one, two, 1e-6, "wsa")
    assert_allclose(near["fc.weight"], one["fc.weight"], atol=1e-4)


def test_alignment_reaches_any_scope_and_leaves_constant_layers_and_biases():
    model = {**_model(0), "zero.weight": np.zeros((10, 10), np.float32)}
    target = Scopes(("fc.weight", "zero.weight"), np.array([0.5, 1.0]), np.array([3.0, 1.0]))
    moved = aligned(model, target)
    found = scopes_of(moved)
    assert_allclose([found.means[0], found.deviations[0]], [0.5, 3.0], rtol=1e-5)
    assert_array_equal(moved["fc.bias"], model["fc.bias"])
    assert not moved["zero.weight"].any()


def test_models_of_unlike_networks_are_refused_by_name():
    with pytest.raises(ValueError, match="model 2 is of another network: 1 of the tensors"):
        merge([_model(0), {"fc.weight": _model(1)["fc.weight"]}], [1, 1], "mean")


def test_a_barrier_is_the_highest_rise_above_the_straight_line():
    assert barrier(np.array([1.0, 2.5, 2.0])) == pytest.approx(1.0)
    assert barrier(np.array([1.0, 1.2, 2.0])) == 0.0


def test_a_curve_measures_the_models_on_the_way():
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Flatten(), nn.Linear(12, 3)) for _ in range(2)]
    windows = np.random.default_rng(0).standard_normal((600, 12, 1, 1)).astype(np.float32)
    with torch.no_grad():
        labels = networks[0](torch.from_numpy(windows)).argmax(dim=1).numpy()
    ends = (arrays_of(networks[0]), arrays_of(networks[1]))
    points = list(curve(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), ends, windows, labels, "mean", [0, 0.5, 1]))
    assert points[0].accuracy == 1.0
    assert [point.share for point in points] == [0, 0.5, 1]
    assert points[0].loss < points[1].loss < points[2].loss


def test_statistics_of_normalisation_are_those_of_the_windows():
    network = nn.Sequential(nn.BatchNorm2d(2))
    inputs = 3 + 2 * torch.randn(900, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    refresh_statistics(network, inputs)
    torch.testing.assert_close(network[0].running_mean, inputs.mean(dim=(0, 2, 3)), atol=0.01, rtol=0)
    torch.testing.assert_close(network[0].running_var, inputs.var(dim=(0, 2, 3)), atol=0.1, rtol=0)
    assert not network.training
    assert network[0].momentum == 0.1
