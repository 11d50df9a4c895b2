"""How an SFormer is trained, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le

_STRICT: Final = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """AdamW on the cross-entropy of shuffled batches of windows that are mirrored and rotated at random.

    Attributes:
        epochs: passes over the training windows.
        learning_rate: the highest.
        weight_decay: of AdamW.
        batch: windows in a step.
        warm_up: epochs in which the learning rate rises to its highest.
        schedule: the learning rate stays, or falls to 0 along a cosine.
    """

    __pydantic_config__ = _STRICT

    epochs: Annotated[int, Ge(1), Le(10_000)] = 30
    learning_rate: Annotated[float, Gt(0), Le(1)] = 3e-3
    weight_decay: Annotated[float, Ge(0), Le(10)] = 1e-2
    batch: Annotated[int, Ge(2), Le(65_536)] = 64
    warm_up: Annotated[int, Ge(0), Le(1_000)] = 2
    schedule: Literal["constant", "cosine"] = "cosine"


PAPER_RECIPE: Final = Recipe(
    epochs=500, learning_rate=1e-4, weight_decay=1e-5, batch=256, warm_up=0, schedule="constant"
)
SMALL_RECIPE: Final = Recipe()
