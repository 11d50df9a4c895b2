"""What the service says of one image, and by which model."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from edge_client.calibration import Calibration
from edge_client.compiled.model import CompiledModel
from edge_client.heatmap import Scale, draw_heatmap
from edge_client.judge import Judgement
from protos.errors import InvalidInput


@dataclass(frozen=True)
class Serving:
    """The model that judges.

    Attributes:
        model: runs.
        calibration: what its scores mean; None where no normal image was held out.
    """

    model: CompiledModel = field(repr=False)
    calibration: Calibration | None

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle's SHA256SUMS, so of everything in it."""
        return self.model.bundle.digest


@dataclass(frozen=True)
class Verdict:
    """One image, judged.

    Attributes:
        judgement: of the model.
        job: whose model it was.
        digest: see `Serving`.
        calibration: see `Serving`.
        milliseconds: from the image's arrival in the queue to its score.
    """

    judgement: Judgement = field(repr=False)
    job: str
    digest: str
    calibration: Calibration | None
    milliseconds: float

    @property
    def decision(self) -> str | None:
        """Either "defect" or "normal"; None where there is no threshold."""
        if self.calibration is None:
            return None
        return "defect" if self.judgement.score > self.calibration.threshold.value else "normal"

    def document(self) -> dict[str, Any]:
        """The verdict as JSON; the names are those of `edgefed client infer`."""
        return {
            "score": self.judgement.score,
            "threshold": self.calibration.threshold.value if self.calibration else None,
            "verdict": self.decision,
            "milliseconds": round(self.milliseconds, 2),
            "score_ms": round(self.judgement.score_ms, 2),
            "model": self.job,
            "model_digest": self.digest,
        }

    def heatmap(self) -> bytes:
        """The picture with its hot regions as PNG.

        Raises:
            InvalidInput: there is no threshold, so no colour means anything.
        """
        if self.calibration is None:
            raise InvalidInput("no normal image was held out, so there is no threshold and no heat map")
        scale, found = Scale(self.calibration.calm, self.calibration.threshold.value), self.judgement
        buffer = io.BytesIO()
        draw_heatmap(found.image, found.score_map, found.score, scale).save(buffer, "PNG")
        return buffer.getvalue()
