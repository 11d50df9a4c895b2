"""How the coordinator makes one model of the sites' weights: the table `[METHOD.aggregation]` of a job file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Gt, Le

_STRICT: Final = {"extra": "forbid"}

Rule = Literal["mean", "trimmed-mean", "median", "krum", "multi-krum"]

_BESIDES_2F: Final = {"trimmed-mean": 1, "krum": 3, "multi-krum": 3}  # updates that a rule needs, of those with an f
Bound = Annotated[float, Gt(0), Le(1e18)]


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """The rule, and bounds on single updates; by default the weighted mean, which believes every site.

    As soon as anything but the plain mean is chosen every site counts once, whatever weight it claims, and the step
    of a stale update is shortened by its discount.

    Attributes:
        rule: "mean"; per value "trimmed-mean" (without the f highest and f lowest) or "median" (Yin et al., 2018); the
            one update that is nearest to the others, "krum", or the mean of the n - f - 2 nearest, "multi-krum"
            (Blanchard et al., 2017).
        assumed_bad: f, how many sites may be bad at most. The trimmed mean needs 2f + 1 updates, Krum 2f + 3; with
            fewer the aggregation fails, for it could not hold what it promises.
        clip_norm: steps longer than this are shortened to it (Sun et al., 2019).
        clip_factor: steps longer than this many times the median of the sites' are shortened to it.
        max_norm: an update whose step is longer than this is rejected. A first round has no model that updates could
            be steps from; it rejects none.
    """

    __pydantic_config__ = _STRICT

    rule: Rule = "mean"
    assumed_bad: Annotated[int, Ge(0), Le(1_000)] = 0
    clip_norm: Bound | None = None
    clip_factor: Bound | None = None
    max_norm: Bound | None = None

    def __post_init__(self) -> None:
        if self.rule in _BESIDES_2F and not self.assumed_bad:
            raise ValueError(f"{self.rule} needs assumed_bad, how many sites may be bad at most: 1 or more")
        if self.rule not in _BESIDES_2F and self.assumed_bad:
            raise ValueError(f"{self.rule} makes no use of assumed_bad; leave it out, or choose another rule")
        if self.clip_norm is not None and self.clip_factor is not None:
            raise ValueError("clip_norm and clip_factor are two ways to say one bound; give one of them")
        if self.clip_norm is not None and self.max_norm is not None and self.clip_norm >= self.max_norm:
            raise ValueError(
                f"nothing is left to clip: updates over max_norm {self.max_norm:g} are rejected, "
                f"and clip_norm is {self.clip_norm:g}"
            )

    @property
    def plain(self) -> bool:
        """The weighted mean and nothing else."""
        return self.rule == "mean" and self.clip_norm is None and self.clip_factor is None

    @property
    def fewest(self) -> int:
        """How many updates the rule needs at least."""
        return _BESIDES_2F.get(self.rule, 1) + 2 * self.assumed_bad


def aggregation_of(settings: Any) -> Aggregation:
    """What the settings of a method that averages weights say in their field `aggregation`; without one, the mean."""
    chosen: Aggregation = getattr(settings, "aggregation", Aggregation())
    return chosen


@dataclass(frozen=True, kw_only=True)
class Settings:
    """FedAvg's own settings; see the part."""

    __pydantic_config__ = _STRICT

    aggregation: Aggregation = Aggregation()
