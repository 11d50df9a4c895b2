import numpy as np
from numpy.testing import assert_allclose

from models.method import Update
from models.wsa.history import added, deviations
from models.wsa.method import WSA
from models.wsa.published import ROUND
from models.wsa.scope import Scopes, scopes_of
from models.wsa.settings import Bands, Settings, Training
from tests.models.wsa.conftest import CLASSES

LAYER = "1.weight"


def _after(number: int) -> dict[str, np.ndarray]:
    return {LAYER: np.ones((10, 10), np.float32), ROUND: np.array([number])}


def _scopes(deviation: float) -> Scopes:
    return Scopes((LAYER,), np.zeros(1), np.array([deviation]))


def test_every_round_of_every_site_is_there_and_the_last_is_that_of_its_update(make_site):
    recipe = Training(optimiser="sgd", learning_rate=0.05, steps=2)
    settings = Settings(classes=CLASSES, network="spectral-mlp", bands=Bands(components=5), training=recipe)
    sites, model, states, updates = [make_site(0), make_site(1)], None, {"site-0": {}, "site-1": {}}, []
    for number in range(3):
        results = [
            WSA.local_update(settings, site, model, states[site.site], number, lambda *told: None) for site in sites
        ]
        states = {site.site: result.state for site, result in zip(sites, results, strict=True)}
        updates = [Update(site.site, result.weight, result.update) for site, result in zip(sites, results, strict=True)]
        model = WSA.aggregate(settings, model, updates, number).arrays
    kept = {name: WSA.install(settings, site, model, states[name], 0, lambda *told: None) for name, site in
            zip(states, sites, strict=True)}  # fmt: skip
    found = deviations(model, kept)
    assert list(found) == ["1.weight", "3.weight"]  # the last layer has fewer than 100 weights
    for index, update in enumerate(updates):
        last = [rounds[:, index] for rounds in found.values()]
        assert np.shape(last) == (2, 2) and not np.isnan(last).any()
        assert_allclose(np.array(last)[:, -1], scopes_of(update.arrays).deviations, rtol=1e-6)


def test_a_round_without_the_site_is_a_gap():
    always = added(added({}, {}, _scopes(1)), _after(1), _scopes(2))
    late = added({}, _after(1), _scopes(3))
    assert_allclose(deviations(_after(2), {"a": always, "b": late})[LAYER], [[1, np.nan], [2, 3]])


def test_there_is_no_layer_when_nobody_has_trained():
    assert deviations({"wsa.bands.mean": np.zeros(4)}, {"a": {}}) == {}
