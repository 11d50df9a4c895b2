"""A poisoned site among five on real solar cells: it sends the defects that it wants to see pass."""

import numpy as np
import pytest

from models.features import PatchFeatures, extract
from models.feddymem.aggregate import aggregate, check
from models.feddymem.bank import first_bank
from models.feddymem.scorer import Scorer
from models.feddymem.settings import Aggregation, Settings
from models.kmeans import assign, kmeans
from models.memory import MemoryBank, to_arrays
from models.method import Update
from models.metrics import auroc
from models.reduce import reduce_bank


@pytest.fixture(scope="module")
def features(solar_cells, lite0):
    """Of 40 functional cells to train on, then of 25 functional and 25 defective ones to be judged."""
    network = PatchFeatures("efficientnet_lite0", Settings().features.stages, lite0)
    good, bad = solar_cells["mono"], solar_cells["mono defect"]
    return extract(network, [*good[:65], *bad[:25]], 224)


@pytest.fixture(scope="module")
def banks(features):
    """Four honest ones, and a fifth of the strangest patches of the very cells that will be judged."""
    made = []
    for site in range(5):
        patches = features[8 * site : 8 * site + 8].reshape(-1, 152).astype(np.float32)
        made.append(reduce_bank(first_bank(patches, 256, site), 128, site))
    defects = features[65:].reshape(25, -1, 152).astype(np.float32)
    strange = [cell[np.argsort(-assign(cell, made[4].rows)[1])[:16]] for cell in defects]
    rows = kmeans(np.concatenate(strange), 128, 0).centres
    return made, MemoryBank(rows, np.ones(128, np.float32))


def _auroc(chosen: Aggregation, banks: list[MemoryBank], features) -> float:
    updates = [Update(f"site-{index}", 1.0, to_arrays(bank)) for index, bank in enumerate(banks)]
    for update in updates:
        check(Settings(), {"width": "152"}, None, update.arrays)
    memory = aggregate(Settings(aggregation=chosen), None, updates, 0).arrays
    return auroc(Scorer(Settings().score, memory, {}).score(features[40:]).image, np.repeat([False, True], 25))


def test_defects_pass_with_the_plain_rule_and_are_seen_when_far_rows_do_not_count(banks, features):
    honest, poisoned = banks
    clean = _auroc(Aggregation(rows=256), honest, features)
    plain = _auroc(Aggregation(rows=256), [*honest[:4], poisoned], features)
    robust = _auroc(Aggregation(rows=256, assumed_bad=1, far="reject"), [*honest[:4], poisoned], features)
    assert plain < clean - 0.04
    assert robust > clean - 0.04
    assert robust > plain + 0.03
