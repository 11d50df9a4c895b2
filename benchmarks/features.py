"""Patch features of a batch against the bare forward pass of the same backbone on the same batch.

The bare pass gets pixels that are normalised already and runs the same layers, channels last; ours normalises,
averages over neighbours, brings the stages to one grid and to length 1 besides. Both run in one thread: with more, a
busy machine is measured and not the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits

from benchmarks.result import Result
from models.backbones.registry import load_network, weights_file
from models.features import PatchFeatures

_BACKBONE = "efficientnet_lite0"
_STAGES = ("stride8", "stride16")
_BATCHES = {"features.batch_1": 1, "features.batch_8": 8}
_SIZE = 224
_REPEATS = 40
_WARM_UP = 5


def run() -> list[Result]:
    """Seconds per batch of 224 px images, alternating between the two sides."""
    with threadpool_limits(1):
        return _measure()


def _measure() -> list[Result]:
    weights = weights_file(_BACKBONE, {})
    ours = PatchFeatures(_BACKBONE, _STAGES, weights)
    network = load_network(_BACKBONE, weights).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stages = network.stages()
    bare = torch.nn.Sequential(*list(stages.values())[: list(stages).index(_STAGES[-1]) + 1])
    results = []
    for name, count in _BATCHES.items():
        pixels = torch.randint(0, 256, (count, 3, _SIZE, _SIZE), generator=torch.Generator().manual_seed(0))
        images = pixels.to(torch.uint8)
        normalised = ((images - ours.mean) / ours.std).contiguous(memory_format=torch.channels_last)
        seconds: list[float] = []
        bare_seconds: list[float] = []
        with torch.inference_mode():
            for _ in range(_WARM_UP + _REPEATS):
                seconds.append(_seconds(ours, images))
                bare_seconds.append(_seconds(bare, normalised))
        results.append(
            Result(
                name=name, unit="s", peer_name="bare EfficientNet-Lite0 to stride 16, PyTorch, one thread", target=1.1,
                ours=seconds[_WARM_UP:], peer=bare_seconds[_WARM_UP:],
            )
        )  # fmt: skip
    return results


def _seconds(work: Callable[[torch.Tensor], object], batch: torch.Tensor) -> float:
    start = time.perf_counter()
    work(batch)
    return time.perf_counter() - start
