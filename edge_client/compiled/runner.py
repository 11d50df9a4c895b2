"""What every backend that runs a compiled model offers. Letters: b images, s their size, m rows, (gh, gw) the map."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from protos.errors import InvalidInput

GENERATOR_WEIGHT, GENERATOR_BIAS = "generator_weight", "generator_bias"


@dataclass(frozen=True, eq=False)
class Bank:
    """What a compiled model takes besides images: all that a round may change. d features.

    Attributes:
        rows: (m, d) float32, finite; the memory that images are held against.
        scales: (m,) float32, more than 0; how wide each row's cell is, ones where the job does not use it.
        generator: weight (d, d) and bias (d,) float32 of the site's generator; None moves no patch.
    """

    rows: NDArray[np.float32]
    scales: NDArray[np.float32]
    generator: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def inputs(self, names: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """The graph's inputs of these names ("images" is passed over), each contiguous.

        Raises:
            InvalidInput: the graph has no input for the generator.
        """
        width = self.rows.shape[1]
        # A generator of zeros moves nothing: it is how every generator starts.
        weight, bias = self.generator or (np.zeros((width, width), np.float32), np.zeros(width, np.float32))
        if self.generator and GENERATOR_WEIGHT not in names:
            raise InvalidInput("the site's model has a generator and the compiled one has none; compile it again")
        whole = {"rows": self.rows, "scales": self.scales, GENERATOR_WEIGHT: weight, GENERATOR_BIAS: bias}
        return {name: np.ascontiguousarray(array, np.float32) for name, array in whole.items() if name in names}


class RawScores(NamedTuple):
    """What the graph says of b images; nothing is normalised by a calibration, and no threshold is in it.

    Attributes:
        image: (b,) float32; higher is more anomalous.
        map: (b, gh, gw) float32, per patch and unsmoothed; row 0 is the top of the image.
    """

    image: NDArray[np.float32]
    map: NDArray[np.float32]


class Runner(Protocol):
    """A loaded graph on a device. One at a time may call it."""

    @property
    def backend(self) -> str:
        """As asked for at the command line: "onnxruntime", "tensorrt", "tensorrt-rtx"."""

    @property
    def device(self) -> str:
        """What it really runs on, as the backend itself names it."""

    @property
    def precision(self) -> str:
        """Of the backbone: "fp32", "fp16" or "int8". Distances are float32 in all of them."""

    def run(self, pixels: NDArray[np.uint8]) -> RawScores:
        """Scores of pixels (b, s, s, 3) uint8 in red, green, blue, b at least 1.

        Raises:
            EngineError: the backend failed.
        """

    def swap(self, bank: Bank) -> None:
        """Holds images against another bank from now on; nothing is compiled or loaded again.

        Raises:
            InvalidInput: its width is not the graph's.
            EngineError: it has more rows than this machine has memory for.
        """

    def close(self) -> None:
        """Lets the device's memory go; the runner cannot be used any more."""
