"""The parity certificate as it stands in `parity.json`: what a compiled model says of real images against the trained.

Each model decides at a threshold of its own, derived from its own scores of the same held-out normals: that is how
both run on the line, and why a precision that shifts all scores alike changes no decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from edge_client.prove.difference import Difference
from edge_client.prove.exhibit import Role

Precision = Literal["fp32", "fp16", "int8"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Area(_Record):
    """Image AUROC of both models on the same images.

    Attributes:
        defects: "test" images, or "made" ones where the site has none: see `made_defects`.
        images: normal and defective ones.
        reference: of the trained model, in [0, 1].
        compiled: of the compiled model.
    """

    defects: Literal["test", "made"]
    images: int
    reference: float
    compiled: float

    @property
    def change(self) -> float:
        """Less than 0 where the compiled model is worse."""
        return self.compiled - self.reference


class Decisions(_Record):
    """Verdicts of both models, each at the threshold of its own scores of the same held-out normals.

    Attributes:
        false_reject_rate: that both thresholds were asked for.
        reference_threshold: of the trained model.
        compiled_threshold: of the compiled model.
        flips: images that the two decide differently.
        flip_distances: of each flipped image, how far the reference's score is from its threshold, relatively.
        test_normals: normal images that set no threshold and are in no bank.
        reference_rejects: of those.
        compiled_rejects: of those.
    """

    false_reject_rate: float
    reference_threshold: float
    compiled_threshold: float
    flips: int
    flip_distances: tuple[float, ...]
    test_normals: int
    reference_rejects: int
    compiled_rejects: int


class Gate(_Record):
    """One condition.

    Attributes:
        name: what is measured.
        about: "parity" (exit code 5) or "accuracy" (exit code 6).
        value: as measured; None where it could not be.
        bound: at most this; what is about accuracy, at least this.
        passed: whether it holds.
    """

    name: str
    about: Literal["parity", "accuracy"]
    value: float | None
    bound: float
    passed: bool


class Certificate(_Record):
    """What was compared, how far apart it is, and whether that is near enough.

    Attributes:
        reference: what the compiled model was held against.
        backend: of the compiled model.
        device: that it ran on.
        precision: of its backbone.
        images: how many, by role.
        distinct: how many different images those are, by digest.
        digest: SHA-256 over the images' digests, in order.
        nonfinite: scores, patches or golden values that are NaN or infinite.
        score: difference of the raw image scores.
        map: difference of the raw maps.
        golden_score: difference on the golden image.
        golden_map: difference on the golden image.
        rank_correlation: of the image scores.
        area: None where no image was held out and there is no test image.
        decisions: None where no image was held out.
        gates: all conditions of the precision.
        note: what a reader has to know besides.
    """

    reference: str
    backend: str
    device: str
    precision: Precision
    images: Mapping[Role, int]
    distinct: int
    digest: str
    nonfinite: int
    score: Difference
    map: Difference
    golden_score: Difference
    golden_map: Difference
    rank_correlation: float
    area: Area | None
    decisions: Decisions | None
    gates: tuple[Gate, ...]
    note: str

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return all(gate.passed for gate in self.gates)


class Parity(_Record):
    """`parity.json` of a bundle.

    Attributes:
        schema_version: of this file.
        precision: that the bundle runs with.
        certificates: of every precision that was tried, refused ones too.
        kept_in_float: layers of the int8 graph that stayed in float, and why.
    """

    schema_version: Literal[1] = 1
    precision: Precision
    certificates: tuple[Certificate, ...]
    kept_in_float: Mapping[str, str] = {}
