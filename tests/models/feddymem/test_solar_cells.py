"""Gates on real electroluminescence images: about two points below what was measured, which leaves room for seeds."""

import numpy as np
import pytest

from models.feature_cache import cached_features
from models.features import PatchFeatures, extract
from models.feddymem.method import FEDDYMEM
from models.feddymem.scorer import Scorer
from models.feddymem.settings import Aggregation, Generator, Score, Settings
from models.method import SiteData, Update, derive_seed
from models.metrics import auroc

DEFAULTS = Settings()


def _silent(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def sites(solar_cells, tmp_path_factory):
    """Plant a makes mono, plant b poly; 48 normals each."""
    images = {"a": solar_cells["mono"][:48], "b": solar_cells["poly"][:48]}
    scratch = tmp_path_factory.mktemp("sites")
    for site in images:
        (scratch / site).mkdir()
    return {site: SiteData(found, site, {}, scratch / site, site) for site, found in images.items()}


@pytest.fixture(scope="module")
def unseen(solar_cells, lite0, tmp_path_factory):
    """Features of 40 normals and 40 defects of each kind, the truth, and the kind."""
    network = PatchFeatures("efficientnet_lite0", DEFAULTS.features.stages, lite0)
    images = [
        image for kind in ("mono", "poly") for image in (*solar_cells[kind][48:88], *solar_cells[f"{kind} defect"][:40])
    ]
    cache = cached_features(
        images, lambda block: extract(network, block, 224), 152, tmp_path_factory.mktemp("unseen"), "", _silent
    )
    truth = np.tile(np.repeat([False, True], 40), 2)
    return np.concatenate([block for _, block in cache.blocks()]), truth, np.repeat([0, 1], 80)


def _federated(settings: Settings, sites, rounds: int):
    previous, states = None, {site: {} for site in sites}
    for number in range(1, rounds + 1):
        updates = []
        for site, data in sites.items():
            result = FEDDYMEM.local_update(
                settings, data, previous, states[site], derive_seed(0, number, site), _silent
            )
            states[site] = result.state
            updates.append(Update(site, result.weight, result.update))
        previous = FEDDYMEM.aggregate(settings, previous, updates, derive_seed(0, number, "coordinator")).arrays
    return previous, states


@pytest.mark.parametrize(("site", "kind", "least"), [("a", 0, 0.88), ("b", 1, 0.84)])
def test_cells_are_told_from_defective_ones_of_their_kind_by_256_rows(site, kind, least, sites, unseen):
    features, truth, kinds = unseen
    bank = FEDDYMEM.local_update(DEFAULTS, sites[site], None, {}, 0, _silent).update
    assert len(bank["rows"]) == 256
    scores = Scorer(Score(self_normalise=False), bank, {}).score(features[kinds == kind]).image
    assert auroc(scores, truth[kinds == kind]) >= least


@pytest.mark.parametrize(
    "settings", [DEFAULTS, Settings(generator=Generator(enabled=False), score=Score(cell_scale=True))]
)
def test_the_federation_knows_both_kinds_where_a_site_alone_knows_one(settings, sites, unseen):
    features, truth, _ = unseen
    alone_bank, _ = _federated(settings, {"a": sites["a"]}, 1)
    alone = auroc(Scorer(settings.score, alone_bank, {}).score(features).image, truth)
    together_bank, states = _federated(settings, sites, 3)
    together = []
    for site, data in sites.items():
        local = FEDDYMEM.install(settings, data, together_bank, states[site], 0, _silent)
        together.append(auroc(Scorer(settings.score, together_bank, local).score(features).image, truth))
    assert min(together) >= 0.87
    assert min(together) >= alone + 0.03


def test_k_means_aggregation_loses_nothing_against_all_rows(sites, unseen):
    features, truth, _ = unseen
    found = []
    for kmeans in (True, False):
        bank, _ = _federated(Settings(aggregation=Aggregation(kmeans=kmeans)), sites, 1)
        found.append(auroc(Scorer(Score(), bank, {}).score(features).image, truth))
    assert found[0] >= found[1] - 0.015
