"""Three poisoned sites of ten on real handwritten digits: the plain mean breaks, the robust rules hold."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from models.fedavg.aggregate import aggregate
from models.fedavg.check import check
from models.fedavg.settings import Aggregation, Settings
from models.method import RejectedUpdate, Update

SITES, BAD, ROUNDS, STEPS = 10, 3, 10, 10


def _softmax_regression(model, images, labels):
    weight = model["w"].copy()
    for _ in range(STEPS):
        odds = np.exp(images @ weight)
        odds /= odds.sum(axis=1, keepdims=True)
        odds[np.arange(len(labels)), labels] -= 1
        weight -= 0.5 * images.T @ odds / len(labels)
    return {"w": weight.astype(np.float32)}


def _accuracy(chosen: Aggregation, bad: int) -> float:
    """Of the last round's model; the bad sites send four times the opposite of their step."""
    data = load_digits()
    images, order = (data.data / 16).astype(np.float32), np.random.default_rng(0).permutation(len(data.target))
    test, *sites = np.split(order, [597, *range(717, 1797, 120)])
    settings, model = Settings(aggregation=chosen), {"w": np.zeros((64, 10), np.float32)}
    for _ in range(ROUNDS):
        updates = []
        for index, site in enumerate(sites):
            found = _softmax_regression(model, images[site], data.target[site])
            if index < bad:
                found = {"w": model["w"] - 4 * (found["w"] - model["w"])}
            check(settings, {}, model, found)
            updates.append(Update(f"site-{index}", 120.0, found))
        model = dict(aggregate(settings, model, updates, 0).arrays)
    return float(((images[test] @ model["w"]).argmax(axis=1) == data.target[test]).mean())


def test_the_plain_mean_learns_from_honest_sites_and_breaks_with_three_poisoned():
    assert _accuracy(Aggregation(), 0) > 0.9
    assert _accuracy(Aggregation(), BAD) < 0.5


@pytest.mark.parametrize(
    "chosen",
    [
        Aggregation(rule="median"),
        *(Aggregation(rule=rule, assumed_bad=BAD) for rule in ("trimmed-mean", "krum", "multi-krum")),
    ],
    ids=lambda chosen: chosen.rule,
)
def test_a_robust_rule_holds_with_three_poisoned_sites(chosen):
    assert _accuracy(chosen, BAD) > 0.85
    assert _accuracy(chosen, 0) > 0.88


def test_an_absurd_step_is_rejected_by_the_jobs_bound():
    with pytest.raises(RejectedUpdate, match="the job's max_norm is 1"):
        _accuracy(Aggregation(max_norm=1.0), BAD)
