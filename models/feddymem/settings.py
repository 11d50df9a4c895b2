"""The table `[feddymem]` of a job file. Each of the method's five parts can be switched off for an ablation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from models.scoring import Rule

_STRICT: Final = {"extra": "forbid"}

Stage = Literal["stride4", "stride8", "stride16", "stride32"]
Backbone = Literal["efficientnet_lite0", "mobilenet_v3_large", "resnet18", "resnet50", "wide_resnet50_2"]


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a patch is.

    Attributes:
        backbone: a network of `models.backbones`; its weights are a file at each site.
        stages: whose outputs are put together, finest first; the finest gives the patch grid.
        image_size: images are resized to this many pixels square.
    """

    __pydantic_config__ = _STRICT

    backbone: Backbone = "efficientnet_lite0"
    stages: Annotated[tuple[Stage, ...], MinLen(1)] = ("stride8", "stride16")
    image_size: Annotated[int, Ge(64), Le(1024)] = 224

    def __post_init__(self) -> None:
        strides = [int(stage.removeprefix("stride")) for stage in self.stages]
        if strides != sorted(set(strides)):
            raise ValueError(f"name each stage once and the finest first, not {', '.join(self.stages)}")


@dataclass(frozen=True, kw_only=True)
class Generator:
    """The memory generator, a residual 1x1 map that moves a site's patches towards the global memory.

    It stays at its site, and rows are never moved by it: all banks keep the backbone's coordinates and can be mixed.

    Attributes:
        enabled: part 1; off, features are used as the backbone gives them.
        metric_loss: part 2, attraction and anchoring; off, the generator stays the identity it starts as.
        epochs: passes over the sampled patches in a round.
        learning_rate: of AdamW; 1e-3 is known to do harm.
        attract: how many nearest rows pull a patch.
        anchor: weight of leaving the global memory's rows where they are.
    """

    __pydantic_config__ = _STRICT

    enabled: bool = True
    metric_loss: bool = True
    epochs: Annotated[int, Ge(1), Le(100)] = 1
    learning_rate: Annotated[float, Gt(0), Le(0.1)] = 1e-4
    attract: Annotated[int, Ge(1), Le(32)] = 3
    anchor: Annotated[float, Ge(0), Le(1_000)] = 3.0


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A site's bank.

    Attributes:
        rows: of the local bank.
        dynamic: part 3, the bank is re-made in every round; off, it stays as the first round made it.
        momentum: how much of a row stays when the bank is re-made.
        reduce: part 4, memory-reduce before upload; off, the whole bank is sent.
        upload_rows: sent by each site, the same for every site so that a small one counts as much.
    """

    __pydantic_config__ = _STRICT

    rows: Annotated[int, Ge(1), Le(65_536)] = 512
    dynamic: bool = True
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    reduce: bool = True
    upload_rows: Annotated[int, Ge(1), Le(65_536)] = 256


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """How the coordinator makes one memory of the sites' banks.

    Attributes:
        kmeans: part 5, unweighted k-means; off, the global memory is all rows of all sites.
        rows: of the global memory; fewer where the sites sent fewer.
        trim: share of the rows, the farthest from any centre, that each step of k-means leaves out.
        assumed_bad: f, how many sites may be bad at most. Rows that are far from those of all but f - 1 other sites are
            left out, so it is for sites with the same product; needs 2f + 1 banks. 0 believes every row.
        far: "clip" leaves out far rows only, "reject" also the whole bank where they are more than half.
    """

    __pydantic_config__ = _STRICT

    kmeans: bool = True
    rows: Annotated[int, Ge(1), Le(65_536)] = 512
    trim: Annotated[float, Ge(0), Lt(0.5)] = 0.0
    assumed_bad: Annotated[int, Ge(0), Le(1_000)] = 0
    far: Literal["clip", "reject"] = "clip"

    def __post_init__(self) -> None:
        if self.trim and not self.kmeans:
            raise ValueError("trim is a part of k-means, which is switched off; leave one of them out")
        if self.far == "reject" and not self.assumed_bad:
            raise ValueError("far = 'reject' needs assumed_bad, how many sites may be bad at most: 1 or more")


@dataclass(frozen=True, kw_only=True)
class Score:
    """How an image is judged.

    Attributes:
        rule: an image's score is the highest of its patches, or the mean of the highest 1 or 3 percent.
        cell_scale: distances to a row count relative to the width of its cell; instead of the generator, not with it.
        self_normalise: an image's score counts relative to the mean of its patches.
        false_reject_rate: share of normal images that may be rejected; sets the threshold.
        holdout: share of a site's normal images that are kept from training, for the threshold.
    """

    __pydantic_config__ = _STRICT

    rule: Rule = "top1%"
    cell_scale: bool = False
    self_normalise: bool = True
    false_reject_rate: Annotated[float, Gt(0), Lt(1)] = 0.01
    holdout: Annotated[float, Gt(0), Lt(1)] = 0.2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of FedDyMem; see the parts."""

    __pydantic_config__ = _STRICT

    features: Features = Features()
    generator: Generator = Generator()
    memory: Memory = Memory()
    aggregation: Aggregation = Aggregation()
    score: Score = Score()
