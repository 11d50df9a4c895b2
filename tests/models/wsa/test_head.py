import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from models.method import RejectedUpdate, Update
from models.wsa.head import fitted, is_next, sums_of
from models.wsa.local import head_features
from models.wsa.method import WSA
from models.wsa.networks import NETWORKS
from models.wsa.published import ROUND, weights_of
from models.wsa.settings import Bands, Settings, Training
from tests.models.wsa.conftest import CLASSES

SETTINGS = Settings(
    classes=CLASSES, network="spectral-mlp", head_after=2, bands=Bands(components=5),
    training=Training(optimiser="sgd", learning_rate=0.05, steps=10, batch=16),
)  # fmt: skip
BEFORE = {"5.weight": np.zeros((3, 4), np.float32), "5.bias": np.zeros(3, np.float32), ROUND: np.array([2])}


def _pixels(number: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, classes, number))
    means = rng.normal(size=(3, 4)) * 3
    return means[labels] + rng.normal(size=(number, 4)) + 5, labels


def _updates(features: np.ndarray, labels: np.ndarray, *cuts: int) -> list[Update]:
    parts = zip(np.split(features, cuts), np.split(labels, cuts), strict=True)
    return [Update(f"site-{i}", 1.0 + i, sums_of(*part, 3)) for i, part in enumerate(parts)]


def _classes(model: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    return (features @ model["5.weight"].T + model["5.bias"]).argmax(axis=1)


def test_the_layer_is_that_of_all_pixels_whoever_has_which():
    features, labels = _pixels(120)
    pooled, _ = fitted(SETTINGS, BEFORE, _updates(features, labels))
    apart, _ = fitted(SETTINGS, BEFORE, _updates(features, labels, 30, 50))  # sorted by class: sites lack some
    for name in ("5.weight", "5.bias"):
        assert_allclose(apart[name], pooled[name], rtol=1e-5)
    assert (_classes(apart, features) == labels).mean() > 0.95


def test_the_layer_is_linear_discriminant_analysis():
    features, labels = _pixels(120)
    found, _ = fitted(SETTINGS, BEFORE, _updates(features, labels))
    # What scikit-learn shrinks it shrinks in scaled features; without spread in scale both are the same.
    known = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(features, labels)
    assert (_classes(found, features) == known.predict(features)).mean() > 0.98


def test_a_class_that_nobody_has_is_never_found():
    features, labels = _pixels(80, classes=2)
    found, _ = fitted(SETTINGS, BEFORE, _updates(features, labels, 40))
    assert set(_classes(found, 100 * features)) <= {0, 1}


def test_a_job_fits_the_layer_when_its_rounds_of_training_are_done(make_site):
    sites, model, models = [make_site(0), make_site(1)], None, []
    for number in range(5):
        updates = []
        for data in sites:
            result = WSA.local_update(SETTINGS, data, model, {}, number, lambda *told: None)
            WSA.check(SETTINGS, WSA.declare(SETTINGS, data), model, result.update)
            updates.append(Update(data.site, result.weight, result.update))
        model = dict(WSA.aggregate(SETTINGS, model, updates, number).arrays)
        models.append(model)
    trained, fitted_once, again = models[2:]
    changed = {name for name in weights_of(trained) if not np.array_equal(trained[name], fitted_once[name])}
    assert changed == {"5.weight", "5.bias"}
    assert [is_next(SETTINGS, one) for one in models] == [False, False, True, True, True]
    for name in fitted_once:  # one more round has nothing to do
        assert_array_equal(again[name], fitted_once[name])


@pytest.mark.parametrize("change", [
    {"wsa.head.counts": np.array([1.0, -1.0, 2.0])},
    {"wsa.head.counts": np.zeros(3)},
    {"wsa.head.outer": np.full((4, 4), np.nan)},
    {"wsa.head.totals": np.zeros((3, 5))},
    {"wsa.head.totals": np.zeros((3, 4), np.float32)},
    {"5.weight": np.zeros((3, 4), np.float32)},
], ids=["below nothing", "no pixel", "NaN", "another width", "another type", "weights"])  # fmt: skip
def test_what_are_no_sums_is_refused_and_left_out(change):
    features, labels = _pixels(40)
    good = sums_of(features, labels, 3)
    with pytest.raises(RejectedUpdate):
        WSA.check(SETTINGS, {}, BEFORE, good | change)
    bad = [Update("bad", 1.0, good | change), Update("good", 1.0, good)]
    found, left_out = fitted(SETTINGS, BEFORE, bad)
    assert set(left_out) == {"bad"}
    assert_array_equal(found["5.weight"], fitted(SETTINGS, BEFORE, bad[1:])[0]["5.weight"])


@pytest.mark.parametrize("updates", [[], [Update("a", 1.0, sums_of(np.ones((5, 4)), np.zeros(5, np.int64), 3))]])
def test_a_layer_that_cannot_be_fitted_is_told(updates):
    with pytest.raises(ValueError, match="fit"):
        fitted(SETTINGS, BEFORE, updates)


@pytest.mark.parametrize("name", ["spectral-mlp", "sformer-small", "sformer-paper", "hypersigma-small"])
def test_every_network_names_the_layer_that_makes_its_logits(name):
    from importlib import import_module

    module, _, function = NETWORKS[name].builder.partition(":")
    network: nn.Module = getattr(import_module(module), function)(12, 3, {})
    layer = network.get_submodule(NETWORKS[name].head)
    windows = np.random.default_rng(0).random((4, 12, *(NETWORKS[name].window,) * 2), np.float32)
    features = head_features(network, NETWORKS[name].head, windows)
    with torch.inference_mode():
        expected = network(torch.from_numpy(windows))
        assert_allclose(layer(torch.from_numpy(features).float()), expected, atol=1e-5)
