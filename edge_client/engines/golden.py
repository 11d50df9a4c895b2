"""One input whose answer is known: an engine that does not give it again is not used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.runner import Bank, Runner
from protos.errors import EngineError

_RELATIVE = 1e-3  # the same engine on the same device; what another kernel would change stays below it


def golden_bank(rows: int, width: int) -> Bank:
    """Rows of length 1, (rows, width) float32; the same ones always."""
    drawn = np.random.default_rng(0).standard_normal((rows, width)).astype(np.float32)
    return Bank(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.ones(rows, np.float32))


def golden_pixels(size: int) -> NDArray[np.uint8]:
    """One image of coarse noise, (1, size, size, 3) uint8."""
    tiles = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    side = -(-size // 8)
    return tiles.repeat(side, axis=1).repeat(side, axis=2)[:, :size, :size]


def golden_answer(runner: Runner, size: int) -> tuple[float, ...]:
    """What a runner that holds the golden bank says: score, then mean, least and greatest of the map.

    Raises:
        EngineError: it fails, or says what is no number.
    """
    scores = runner.run(golden_pixels(size))
    answer = (scores.image[0], scores.map.mean(), scores.map.min(), scores.map.max())
    if not np.isfinite(answer).all():
        raise EngineError(f"the engine answers no numbers on {runner.device}; compile with --precision fp32")
    return tuple(float(value) for value in answer)


def agrees(answer: tuple[float, ...], recorded: tuple[float, ...]) -> bool:
    """Whether an answer is the recorded one, within a thousandth."""
    return len(answer) == len(recorded) and bool(np.allclose(answer, recorded, rtol=_RELATIVE, atol=1e-6))
