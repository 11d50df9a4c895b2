"""The table `[wsa]` of a job file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from models.fedavg.settings import Aggregation
from models.wsa.fusion import Fusion
from models.wsa.networks import NetworkName

_STRICT: Final = {"extra": "forbid"}

Target = Literal["init", "fixed", "model", "fused"]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How the sites' weight scopes are kept together.

    Attributes:
        mode: "auto" waits until the sites' scopes lie apart; "always" aligns from the first round on; "off" is FedAvg.
        threshold: of "auto", the spread of the sites' deviations (relative, mean over the layers) from which on the
            following rounds align.
        strength: λ, how much a layer's divergence weighs against the loss; 0 is FedAvg. Of a layer with n weights of
            deviation σ, SGD removes a difference within n σ² (1 - momentum) / (2 λ learning_rate) steps.
        target: "init", the network as it starts; "fixed", N(0, fixed_deviation²) for every layer; "model", the
            checkpoint `reference`; "fused", what the coordinator made of the scopes of the round before.
        fusion: how it makes that; see `models.wsa.fusion.fuse`. Where sites may be bad, which `aggregation` says, it is
            the median of the sites instead.
        fixed_deviation: of the target "fixed".
        reference: of the target "model", the name of a weights file in the sites' configuration.
    """

    __pydantic_config__ = _STRICT

    mode: Literal["off", "auto", "always"] = "auto"
    threshold: Annotated[float, Gt(0), Le(10)] = 0.05
    strength: Annotated[float, Ge(0), Le(10_000)] = 1.0
    target: Target = "fused"
    fusion: Fusion = "mean"
    fixed_deviation: Annotated[float, Gt(0), Le(10)] | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        for key, needed in (("fixed_deviation", "fixed"), ("reference", "model")):
            if (getattr(self, key) is not None) != (self.target == needed):
                raise ValueError(f'{key} and target = "{needed}" need each other')


@dataclass(frozen=True, kw_only=True)
class Bands:
    """What a network sees of a pixel.

    Attributes:
        components: principal components; fitted on the training pixels of all sites together in the job's first round,
            from sums that the sites add up exactly. None takes the bands as they are, centred, in units of their range.
        order: "variance" takes the components of most variance, and whitens them; "noise" those of most signal for
            their noise, in units of it, as neighbouring pixels tell it.
        wavelengths: nanometres; sites resample their cubes to these. Empty where all sites have the same camera.
    """

    __pydantic_config__ = _STRICT

    components: Annotated[int, Ge(1), Le(1_000)] | None = 30
    order: Literal["variance", "noise"] = "variance"
    wavelengths: tuple[Annotated[float, Gt(0)], ...] = ()

    def __post_init__(self) -> None:
        if self.order == "noise" and self.components is None:
            raise ValueError('order = "noise" is an order of components; say how many')


@dataclass(frozen=True, kw_only=True)
class Training:
    """A site's work in a round.

    Attributes:
        optimiser: "adamw" or "sgd"; a new one in each round. Under AdamW a gradient's size hardly matters, and so
            `alignment.strength` has another meaning than under SGD.
        learning_rate: of the optimiser, in the first round the highest.
        cosine_rounds: over so many rounds of training it falls along a cosine to a fiftieth; None keeps it.
        momentum: of SGD.
        weight_decay: of the optimiser.
        epochs: passes over the site's pixels.
        steps: of the optimiser in a round, instead of whole epochs: sites of unlike size then do as much work.
        batch: windows in a step.
        augment: windows are mirrored and rotated at random.
    """

    __pydantic_config__ = _STRICT

    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Gt(0), Le(10)] = 2e-3
    cosine_rounds: Annotated[int, Ge(1)] | None = None
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0), Le(10)] = 1e-2
    epochs: Annotated[int, Ge(1), Le(1_000)] = 1
    steps: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    batch: Annotated[int, Ge(2), Le(65_536)] = 32
    augment: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of WSA; see the parts.

    Attributes:
        classes: names; sites map theirs to these by name, and may lack some.
        network: one of `models.wsa.networks`.
        init_seed: of the weights that every site starts from.
        head_after: rounds of training after which no more is trained: the next round fits the network's last layer on
            sums that the sites add up, see `models.wsa.head`. With the first round that makes `head_after` + 2. None
            leaves the layer as it was trained.
    """

    __pydantic_config__ = _STRICT

    classes: Annotated[tuple[str, ...], MinLen(2)]
    network: NetworkName = "sformer-small"
    init_seed: Annotated[int, Ge(0), Lt(2**31)] = 0
    head_after: Annotated[int, Ge(1)] | None = None
    bands: Bands = Bands()
    training: Training = Training()
    alignment: Alignment = Alignment()
    aggregation: Aggregation = field(default_factory=Aggregation)
