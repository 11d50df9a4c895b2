"""A compiled model at work, without torch: from an image to a score, a map and a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from edge_client.bundle.bundle import DetectorBundle, open_bundle
from edge_client.calibration import Calibration, calibrate
from edge_client.compiled.backends import MOST_IMAGES, Graph, choose_runner
from edge_client.compiled.runner import RawScores, Runner
from edge_client.images import read_image
from edge_client.judge import Judgement, judgements
from models.pixels import resized
from models.scoring import smooth_maps
from protos.errors import InvalidInput, StateError


class CompiledModel:
    """A bundle and the runner that holds its graph; see `Judge`.

    Args:
        bundle: verified.
        runner: of the bundle's graph, with the bundle's bank.
        rate: the false-reject rate that the site keeps; None is the bundle's own.
    """

    def __init__(self, bundle: DetectorBundle, runner: Runner, rate: float | None = None) -> None:
        self.bundle = bundle
        self.runner = runner
        self._rate = bundle.calibration.false_reject_rate if rate is None else rate

    @property
    def job(self) -> str:
        """See `Judge`."""
        return self.bundle.manifest.job

    @property
    def description(self) -> str:
        """See `Judge`."""
        return f"the compiled model, {self.runner.precision} on {self.runner.backend}, {self.runner.device}"

    def calibration(self) -> Calibration | None:
        """See `Judge`."""
        return calibrate(self.bundle.calibration.scores, self._rate)

    def judge(self, path: Path) -> Judgement:
        """See `Judge`."""
        started = time.perf_counter()
        image = read_image(path)
        read_ms = 1000 * (time.perf_counter() - started)
        return replace(self.judge_images([image])[0], read_ms=read_ms)

    def judge_images(self, images: Sequence[NDArray[np.uint8]]) -> list[Judgement]:
        """See `Judge`."""
        started = time.perf_counter()
        scores, maps = score_images(self.runner, images, self.bundle.manifest.input.size)
        smooth = smooth_maps(maps)
        score_ms = 1000 * (time.perf_counter() - started) / len(images)
        try:
            return judgements(images, scores, smooth, self.bundle.manifest.output.rule, score_ms)
        except ValueError as error:
            raise StateError(f"the bundle {self.bundle.path} cannot be used ({error}); compile it again") from error


def load_compiled(
    path: Path,
    *,
    engines: Path,
    backend: str | None = None,
    allow_fallback: bool = False,
    rate: float | None = None,
    key: Ed25519PublicKey | None = None,
) -> CompiledModel:
    """Loads a bundle after it was verified.

    Args:
        path: a folder or a tar file.
        engines: folder in which TensorRT's engines are kept.
        backend: see `choose_runner`; None is the one that the bundle was proven on.
        allow_fallback: see `choose_runner`.
        rate: see `CompiledModel`.
        key: see `open_bundle`.

    Raises:
        InvalidInput, IntegrityError: see `open_bundle`.
        BackendMissing, EngineError, StateError: see `choose_runner`.
    """
    bundle = open_bundle(path, key)
    if not isinstance(bundle, DetectorBundle):
        raise InvalidInput(f"the bundle {path} classifies the pixels of cubes, and judges no images")
    manifest = bundle.manifest
    graph = Graph(name=manifest.job, onnx=bundle.model, precision=manifest.precision, size=manifest.input.size)
    runner = choose_runner(
        graph, bundle.bank, backend or manifest.backend, engines=engines, allow_fallback=allow_fallback
    )
    model = CompiledModel(bundle, runner, rate)
    # The first image is many times slower than the next; it should not be one from the line.
    model.judge_images([np.zeros((manifest.input.size, manifest.input.size, 3), np.uint8)])
    return model


def score_images(runner: Runner, images: Sequence[NDArray[np.uint8]], size: int) -> RawScores:
    """Raw scores and maps of images (h, w, 3) uint8 of any sizes, at least one; a few at a time."""
    parts = [
        runner.run(resized(images[start : start + MOST_IMAGES], size)) for start in range(0, len(images), MOST_IMAGES)
    ]
    return parts[0] if len(parts) == 1 else RawScores(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
