"""`calibration.json` of a bundle: what its threshold is derived from, never the threshold itself."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class CalibrationFile(BaseModel):
    """The scores of normal images, and the rate that was asked for.

    Attributes:
        false_reject_rate: of the job.
        normal_scores: of the compiled model, for the site's held-out normal images.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    false_reject_rate: Annotated[float, Field(gt=0, lt=1)]
    normal_scores: tuple[float, ...]

    @property
    def scores(self) -> NDArray[np.float64]:
        """The scores (n,)."""
        return np.array(self.normal_scores, np.float64)
