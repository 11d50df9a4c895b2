"""The coordinator's half of WSA: FedAvg, the scope that the sites' models are to share, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.fedavg.aggregate import aggregate as average
from models.fedavg.aggregate import taken_together
from models.fedavg.check import check as check_weights
from models.fedavg.settings import aggregation_of
from models.method import Aggregated, Arrays, Declaration, RejectedUpdate, Update
from models.wsa import head
from models.wsa.first_round import check_sums, project
from models.wsa.fusion import apart, fuse, middle, spread
from models.wsa.published import ACTIVE, PREFIX, ROUND, besides, scope_arrays, trained_rounds, weights_of
from models.wsa.scope import Scopes, scopes_of
from models.wsa.settings import Alignment, Settings


def check(settings: Settings, declaration: Declaration, previous: Arrays | None, arrays: Arrays) -> None:
    """Looks at sums in a first round and in one that fits the last layer, at weights as FedAvg does in all others.

    Raises:
        RejectedUpdate: with the figure.
    """
    if previous is None:
        return check_sums(settings, declaration, arrays)
    if head.is_next(settings, previous):
        return head.check(settings, previous, arrays)
    if odd := next((name for name in sorted(arrays) if name.startswith(PREFIX)), None):
        raise RejectedUpdate(f"the tensor {odd!r} is the coordinator's to make, not a site's")
    check_weights(settings, declaration, weights_of(previous), arrays)


def aggregate(settings: Settings, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    """The bands' projection in a first round, the last layer in those that fit it, FedAvg's model to the bit in others.

    With the model go the fused scope, the sites' spread, and whether the next round aligns; see `models.wsa.published`.

    Raises:
        RejectedUpdate, ValueError: see `models.fedavg.aggregate.aggregate`, `models.wsa.first_round.project` and
            `models.wsa.head.fitted`.
    """
    if previous is None:
        return Aggregated(project(settings, updates))
    if head.is_next(settings, previous):
        return Aggregated(*head.fitted(settings, previous, updates))
    weights, alignment = weights_of(previous), settings.alignment
    received, left_out = taken_together(sorted(updates, key=lambda update: update.site), weights)
    averaged = average(settings, weights, received, seed)
    models = [scopes_of(update.arrays) for update in received]
    fused = _fused(settings, received, models)
    by_layer = spread(models)
    overall = float(by_layer.mean()) if by_layer.size else 0.0
    active = _active(alignment, previous, overall)
    scopes = scope_arrays(fused, by_layer, active=active)
    number = np.array([trained_rounds(previous) + 1], np.int64)
    arrays = {**besides(previous), **averaged.arrays, **scopes, ROUND: number}
    distances = {f"scope_apart/{one.site}": apart(model, fused) for one, model in zip(received, models, strict=True)}
    metrics = {"scope_spread": overall, "aligning": float(active), **distances}
    return Aggregated(arrays, {**left_out, **averaged.remarks}, metrics)


def _fused(settings: Settings, received: Sequence[Update], models: Sequence[Scopes]) -> Scopes:
    if not aggregation_of(settings).plain:  # sites may be bad, and weights are claims
        return middle(models)
    return fuse(models, [update.weight * update.discount for update in received], settings.alignment.fusion)


def _active(alignment: Alignment, previous: Arrays, spread_now: float) -> bool:
    if alignment.mode != "auto":
        return alignment.mode == "always"
    # Once on it stays on: aligned sites lie together again, which is no reason to let go of them.
    return spread_now >= alignment.threshold or (ACTIVE in previous and bool(previous[ACTIVE][0]))
