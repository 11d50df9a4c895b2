"""How the scopes of a site's layers went over the rounds. Kept at the site, at last beside its model; never sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.method import Arrays
from models.wsa.published import trained_rounds, weights_of
from models.wsa.scope import Scopes, scopes_of

_ROUNDS: Final = "rounds"  # (r,) int64: rounds of training that the site took part in, from 1
_SCOPES: Final = "scopes"  # (r, l, 2) float32: mean and deviation of each scoped tensor, sorted by name


def added(state: Arrays, previous: Arrays, scopes: Scopes) -> dict[str, NDArray[np.generic]]:
    """A site's state with the scopes of what it trained from the global model `previous`."""
    number = trained_rounds(previous) + 1
    row = np.stack([scopes.means, scopes.deviations], axis=1).astype(np.float32)
    rounds = np.append(state.get(_ROUNDS, np.zeros(0, np.int64)), number)
    rows = np.concatenate([state.get(_SCOPES, np.zeros((0, *row.shape), np.float32)), row[None]])
    return {_ROUNDS: rounds.astype(np.int64), _SCOPES: rows.astype(np.float32)}


def deviations(final: Arrays, states: Mapping[str, Arrays]) -> dict[str, NDArray[np.float64]]:
    """Layer -> the deviations (r, s) of its weights in each of r rounds of training at each of s sites.

    Args:
        final: the job's global model, as `global.safetensors` beside a site's model holds it.
        states: site -> what `local.safetensors` beside its model holds; s in this order.

    Returns:
        NaN where a site took no part in a round; no layer where nobody has trained.
    """
    weights = weights_of(final)
    if weights is None:
        return {}
    names = scopes_of(weights).names
    found = np.full((len(names), trained_rounds(final), len(states)), np.nan)
    for index, state in enumerate(states.values()):
        if _ROUNDS in state:
            found[:, state[_ROUNDS].astype(np.int64) - 1, index] = state[_SCOPES][:, :, 1].T
    return dict(zip(names, found, strict=True))
