"""Holds what a compiled classifier says of a site's pixels against what the trained one says.

Letters: n pixels, k classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from edge_client.compiled.classifier import CompiledClassifier
from edge_client.prove.certificate import Gate
from edge_client.prove.gates import at_most

Floats = NDArray[np.float32]

_ALLOWED = 1000  # of so many pixels one may get another class: those of a near tie do, in any other order of sums
_QUANTILE = 0.999
_MOST_APART = 0.05
_MOST_NAMED = 20


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Changed(_Record):
    """A pixel that the two tell apart.

    Attributes:
        trained: class by the trained model.
        compiled: class by the compiled one.
        margin: how far the trained model's logits of the two are apart; little of it is a near tie.
    """

    trained: str
    compiled: str
    margin: float


class PixelParity(_Record):
    """`parity.json` of a bundle that classifies pixels.

    Attributes:
        schema_version: of this file.
        reference: what the compiled model was held against.
        backend: of the compiled model.
        device: that it ran on.
        precision: of the compiled model.
        pixels: n, how many were compared.
        digest: SHA-256 over their windows.
        nonfinite: logits that are NaN or infinite.
        agreement: share of the pixels to which both give the same class.
        deviation: of all trained logits, the unit of the next two.
        quantile: the 0.999 quantile of the differences of logits.
        greatest: of those differences.
        changed: the pixels that got another class, those of the widest margin first; at most 20.
        gates: all conditions.
    """

    schema_version: Literal[1] = 1
    reference: str
    backend: str
    device: str
    precision: Literal["fp32"] = "fp32"
    pixels: int
    digest: str
    nonfinite: int
    agreement: float
    deviation: float
    quantile: float
    greatest: float
    changed: tuple[Changed, ...]
    gates: tuple[Gate, ...]


def certify_pixels(
    windows: Floats, trained: Floats, compiled: Floats, classes: Sequence[str], *, against: str, by: CompiledClassifier
) -> PixelParity:
    """The certificate of a compiled classifier.

    Args:
        windows: of n pixels, at least one.
        trained: logits (n, k) of the trained model, finite.
        compiled: logits (n, k) of the compiled one.
        classes: names of the k classes.
        against: what gave `trained`, for the reader.
        by: what gave `compiled`; only its names are used.
    """
    broken = int(compiled.size - np.isfinite(compiled).sum())
    found = np.nan_to_num(compiled)
    deviation = float(trained.std())
    apart = np.abs(found - trained).astype(np.float64) / max(deviation, 1e-12)
    quantile = float(np.quantile(apart, _QUANTILE))
    first, second = trained.argmax(axis=1), found.argmax(axis=1)
    changed = np.flatnonzero(first != second)
    margins = (trained[changed, first[changed]] - trained[changed, second[changed]]).tolist()
    listed = sorted(zip(margins, first[changed].tolist(), second[changed].tolist(), strict=True), reverse=True)
    return PixelParity(
        reference=against, backend=by.backend, device=by.device, pixels=len(windows),
        digest=sha256(np.ascontiguousarray(windows).tobytes()).hexdigest(), nonfinite=broken,
        agreement=1 - len(changed) / len(windows), deviation=deviation, quantile=quantile, greatest=float(apart.max()),
        changed=tuple(
            Changed(trained=classes[one], compiled=classes[other], margin=margin)
            for margin, one, other in listed[:_MOST_NAMED]
        ),
        gates=(
            at_most("logits that are no numbers", broken, 0),
            at_most("changed classes", len(changed), max(1, len(windows) // _ALLOWED)),
            at_most("difference of logits, in deviations", quantile, _MOST_APART),
        ),
    )  # fmt: skip
