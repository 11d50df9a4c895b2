"""What is to be compiled, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_client.calibration import Calibration
from edge_client.prove.certificate import Parity, Precision
from edge_client.prove.pixels import PixelParity
from protos.errors import EdgeFedError


@dataclass(frozen=True)
class Request:
    """What is to be compiled, and for what.

    Attributes:
        root: the site's state folder.
        job: whose model; None is the current one.
        backend: see `choose_runner`.
        precision: of the backbone.
        allow_fallback: see `choose_runner`.
    """

    root: Path
    job: str | None
    backend: str
    precision: Precision
    allow_fallback: bool = False


@dataclass(frozen=True)
class Timings:
    """Seconds that a new round costs.

    Attributes:
        exported: whether the graph was made now, and not kept from an earlier round.
        export: to have the graph.
        load: to have a runner of it, with a TensorRT engine from the cache.
        swap: to put another bank into that runner, the mean of several; None where all of a round is in the graph.
    """

    exported: bool
    export: float
    load: float
    swap: float | None = None


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What came of it.

    Attributes:
        job: whose model it is.
        backend: that it runs on.
        device: of that.
        parity: the certificate.
        files: of the bundle, all that SHA256SUMS lists.
        timings: of a new round.
        refused: why another precision than the one that was asked for was chosen; None where it was not.
    """

    job: str
    backend: str
    device: str
    parity: Parity | PixelParity
    files: Mapping[str, bytes] = field(repr=False)
    timings: Timings
    refused: EdgeFedError | None = None


@dataclass(frozen=True, kw_only=True)
class CompiledDetector(Compiled):
    """Of a model that judges images.

    Attributes:
        calibration: what the compiled model's scores mean; None where no normal image was held out.
    """

    parity: Parity
    calibration: Calibration | None
