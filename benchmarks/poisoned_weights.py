"""FedAvg with 3 poisoned sites of 10: a small network on the handwritten digits of scikit-learn, rules × attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.datasets import load_digits

from models.fedavg.method import FEDAVG
from models.fedavg.settings import Aggregation, Settings
from models.method import Update

SITES, BAD = 10, 3
_ROUNDS, _EPOCHS, _BATCH, _RATE, _HIDDEN = 15, 5, 16, 0.1, 32
_TEST = 597  # of 1,797 images

Model = dict[str, NDArray[np.float32]]
Steps = NDArray[np.float32]
Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]

RULES: Mapping[str, Aggregation] = {
    "mean": Aggregation(),
    "mean, clipped": Aggregation(clip_factor=1.0),
    "trimmed-mean": Aggregation(rule="trimmed-mean", assumed_bad=BAD),
    "median": Aggregation(rule="median"),
    "krum": Aggregation(rule="krum", assumed_bad=BAD),
    "multi-krum": Aggregation(rule="multi-krum", assumed_bad=BAD),
}


@dataclass(frozen=True)
class Attack:
    """What poisoned sites do.

    Attributes:
        labels: what they make of their labels before they train.
        step: what they send instead of the step they trained: of the honest sites' steps (n, p), which they all know,
            and their own (p,).
        weight: how many examples they claim.
    """

    labels: Callable[[NDArray[np.int64]], NDArray[np.int64]] = lambda labels: labels
    step: Callable[[Steps, Steps, np.random.Generator], Steps] = lambda honest, own, rng: own
    weight: float = 120.0


def _a_little(z: float) -> Callable[[Steps, Steps, np.random.Generator], Steps]:
    """A step z standard deviations from the honest mean, which their spread is to hide (Baruch et al., 2019)."""

    def step(honest: Steps, own: Steps, rng: np.random.Generator) -> Steps:
        return honest.mean(axis=0) - np.float32(z) * honest.std(axis=0)

    return step


def _hidden() -> float:
    """The z of the paper: so many honest sites lie farther out that, with the bad ones, they are the majority."""
    supporters = SITES // 2 + 1 - BAD
    return float(norm.ppf((SITES - BAD - supporters) / (SITES - BAD)))


ATTACKS: Mapping[str, Attack] = {
    "nobody": Attack(),
    "3 sites add nothing": Attack(step=lambda honest, own, rng: honest.mean(axis=0)),
    "sign flip × 4": Attack(step=lambda honest, own, rng: -4 * own),
    "noise": Attack(step=lambda honest, own, rng: rng.standard_normal(own.shape, np.float32)),
    "labels flipped": Attack(labels=lambda labels: 9 - labels),
    "flipped, weight 1e9": Attack(labels=lambda labels: 9 - labels, weight=1e9),
    "a little is enough": Attack(step=_a_little(_hidden())),
    "a little more, z = 1.5": Attack(step=_a_little(1.5)),
}


def accuracy(rule: Aggregation, attack: Attack, seed: int, *, alike: bool) -> float:
    """Test accuracy after the last round; `alike` sites have every digit, others mostly two."""
    rng = np.random.default_rng(seed)
    sites, test = _deal(rng, alike=alike)
    model = _start(rng)
    for _ in range(_ROUNDS):
        steps = np.stack(
            [
                _flat(_trained(model, (images, attack.labels(labels) if site < BAD else labels), rng)) - _flat(model)
                for site, (images, labels) in enumerate(sites)
            ]
        )
        for site in range(BAD):
            steps[site] = attack.step(steps[BAD:], steps[site].copy(), rng)
        updates = [
            Update(f"site-{site}", attack.weight if site < BAD else float(len(sites[site][1])), _like(model, step))
            for site, step in enumerate(steps + _flat(model))
        ]
        settings = Settings(aggregation=rule)
        for update in updates:
            FEDAVG.check(settings, {}, model, update.arrays)
        model = dict(FEDAVG.aggregate(settings, model, updates, seed).arrays)
    images, labels = test
    return float((_logits(model, images)[1].argmax(axis=1) == labels).mean())


def _deal(rng: np.random.Generator, *, alike: bool) -> tuple[Sequence[Labelled], Labelled]:
    data = load_digits()
    images, labels = (data.data / 16).astype(np.float32), data.target
    order = rng.permutation(len(labels))
    test, train = order[:_TEST], order[_TEST:]
    if not alike:  # nine of ten images go out in order of their digit, so that a site has mostly two
        mixed = rng.random(len(train)) < 0.1
        rest = train[~mixed]
        shards = np.array_split(rest[np.argsort(labels[rest], kind="stable")], 2 * SITES)
        dealt = rng.permutation(2 * SITES).reshape(SITES, 2)
        loose = np.array_split(train[mixed], SITES)
        parts = [np.concatenate([shards[a], shards[b], loose[i]]) for i, (a, b) in enumerate(dealt)]
    else:
        parts = np.array_split(train, SITES)
    return [(images[part], labels[part]) for part in parts], (images[test], labels[test])


def _start(rng: np.random.Generator) -> Model:
    return {
        "hidden.weight": (rng.standard_normal((64, _HIDDEN)) / 8).astype(np.float32),
        "hidden.bias": np.zeros(_HIDDEN, np.float32),
        "out.weight": (rng.standard_normal((_HIDDEN, 10)) / _HIDDEN**0.5).astype(np.float32),
        "out.bias": np.zeros(10, np.float32),
    }


def _trained(model: Model, data: Labelled, rng: np.random.Generator) -> Model:
    model, (images, labels) = {name: array.copy() for name, array in model.items()}, data
    for _ in range(_EPOCHS):
        for batch in np.array_split(rng.permutation(len(labels)), max(1, len(labels) // _BATCH)):
            hidden, logits = _logits(model, images[batch])
            slope = np.exp(logits - logits.max(axis=1, keepdims=True))
            slope /= slope.sum(axis=1, keepdims=True)
            slope[np.arange(len(batch)), labels[batch]] -= 1
            slope /= len(batch)
            back = (slope @ model["out.weight"].T) * (hidden > 0)
            model["out.weight"] -= _RATE * hidden.T @ slope
            model["out.bias"] -= _RATE * slope.sum(axis=0)
            model["hidden.weight"] -= _RATE * images[batch].T @ back
            model["hidden.bias"] -= _RATE * back.sum(axis=0)
    return model


def _logits(model: Model, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    hidden = np.maximum(images @ model["hidden.weight"] + model["hidden.bias"], 0)
    return hidden, hidden @ model["out.weight"] + model["out.bias"]


def _flat(model: Model) -> NDArray[np.float32]:
    return np.concatenate([model[name].reshape(-1) for name in sorted(model)])


def _like(model: Model, flat: NDArray[np.float32]) -> Model:
    ends = np.cumsum([model[name].size for name in sorted(model)])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(model[name].shape) for name, part in zip(sorted(model), parts, strict=True)}
