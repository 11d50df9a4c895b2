"""Which layers of a graph stay float32 when the others become int8: those that disturb the raw map most.

Layers are taken in blocks of at least two: ONNX Runtime computes a single float layer between integers in integers
too, with one scale for all of its weights, which is worse than what it was kept from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank
from edge_client.prove.int8 import Quantiser
from models.method import Report

# One block costs a second or two, so this bounds the whole.
_MOST_BLOCKS = 24


def blocks(layers: int) -> tuple[range, ...]:
    """The numbers of the layers, first to last, in at most 24 blocks of at least two; one block where there is one."""
    size = max(2, -(-layers // _MOST_BLOCKS))
    starts = list(range(0, max(layers - 1, 1), size))
    return tuple(range(start, end) for start, end in zip(starts, [*starts[1:], layers], strict=True))


def to_keep(errors: Sequence[float], budget: float) -> tuple[int, ...]:
    """The fewest blocks to keep in float so that the errors of the others stay within a budget together, sorted.

    Errors of single blocks are independent enough for their squares to add up.
    """
    order = np.argsort(errors)[::-1]
    squares = np.square(np.asarray(errors, np.float64))[order]
    left = squares.sum() - np.concatenate([[0.0], np.cumsum(squares)])
    count = int(np.argmax(left <= budget**2 + 1e-12))
    return tuple(sorted(int(block) for block in order[:count]))


def block_errors(
    quantiser: Quantiser, bank: Bank, pixels: NDArray[np.uint8], reference: NDArray[np.float32], report: Report
) -> list[float]:
    """Of each block the error of the raw map when this block alone is int8, relative to how much maps vary.

    Args:
        quantiser: of the graph.
        bank: that the maps are of.
        pixels: (b, s, s, 3) uint8, normal images other than those of the quantiser's ranges.
        reference: (b, gh, gw) float32, their raw maps in float32.
        report: told after each block.
    """
    whole, found = set(range(len(quantiser.layers))), []
    parts = blocks(len(whole))
    for number, block in enumerate(parts, start=1):
        runner = OnnxRuntimeRunner(quantiser.graph(in_float=whole - set(block)), bank, precision="int8")
        found.append(map_error(reference, runner.run(pixels).map))
        runner.close()
        report("measuring layers", number, len(parts))
    return found


def map_error(reference: NDArray[np.float32], maps: NDArray[np.float32]) -> float:
    """Root of the mean square of what two maps differ by, relative to the reference's standard deviation."""
    return float(np.sqrt(np.square(maps - reference).mean()) / max(float(reference.std()), 1e-12))
