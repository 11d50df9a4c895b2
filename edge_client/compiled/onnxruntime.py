"""Compiled detectors on ONNX Runtime."""

from __future__ import annotations

import os
import sys

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.room import free_bytes, images_that_fit
from edge_client.compiled.runner import GENERATOR_BIAS, GENERATOR_WEIGHT, Bank, RawScores
from edge_client.compiled.session import CPU, load_onnxruntime, open_session
from protos.errors import EngineError, InvalidInput

# Images that a CPU takes at once: an image of a larger batch takes longer, as it finds less of its own in the cache.
_CPU_BATCH = max(2, os.cpu_count() or 1)


class OnnxRuntimeRunner:
    """A session over one graph. The bank lies in the session's own memory and is not handed over at every call.

    Args:
        model: the bytes of the ONNX file.
        bank: the first one.
        precision: of the graph's backbone, to be told.
        provider: see `open_session`.
        allow_fallback: see `open_session`.

    Raises:
        BackendMissing: ONNX Runtime or the provider is not on this machine.
        EngineError: the graph cannot be loaded, or this machine has too little memory for the bank.
        InvalidInput: the bank does not fit the graph.
    """

    def __init__(
        self, model: bytes, bank: Bank, *, precision: str = "fp32", provider: str = CPU, allow_fallback: bool = False
    ) -> None:
        self.precision = precision
        self._session = open_session(model, provider, allow_fallback=allow_fallback)
        self.device, self.backend = self._session.device, self._session.backend
        self._inference = self._session.inference
        self._value = load_onnxruntime().OrtValue.ortvalue_from_numpy
        self._width = _width(self._inference)
        self.swap(bank)

    def run(self, pixels: NDArray[np.uint8]) -> RawScores:
        """See `Runner`."""
        if len(pixels) <= self._at_once:
            return self._run(pixels)
        parts = [self._run(pixels[start : start + self._at_once]) for start in range(0, len(pixels), self._at_once)]
        return RawScores(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _run(self, pixels: NDArray[np.uint8]) -> RawScores:
        images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
        feeds = {"images": self._value(images), **self._bank}
        try:
            scores, maps = self._inference.run_with_ort_values(["scores", "maps"], feeds)
        except Exception as error:
            raise self._session.failed(error) from error
        return RawScores(scores.numpy(), maps.numpy())

    def swap(self, bank: Bank) -> None:
        """See `Runner`."""
        if bank.rows.shape[1] != self._width:
            raise InvalidInput(f"the memory bank has {bank.rows.shape[1]} features and the graph takes {self._width}")
        self._at_once = self._fitting(len(bank.rows))
        inputs = bank.inputs([entry.name for entry in self._inference.get_inputs()])
        self._bank = {name: self._value(array) for name, array in inputs.items()}

    def close(self) -> None:
        """See `Runner`."""
        del self._session, self._inference, self._bank

    def _fitting(self, rows: int) -> int:
        """How many images go through the graph together."""
        if self.device != CPU:
            return sys.maxsize  # what room a GPU has, its own library tells when it takes it
        height, width = next(entry.shape[1:] for entry in self._inference.get_outputs() if entry.name == "maps")
        return min(_CPU_BATCH, images_that_fit(height * width, rows, free_bytes()))


def _width(session: object) -> int:
    inputs = {entry.name: entry.shape for entry in session.get_inputs()}  # type: ignore[attr-defined]  # untyped
    outputs = {entry.name for entry in session.get_outputs()}  # type: ignore[attr-defined]
    foreign = inputs.keys() - {"images", "rows", "scales", GENERATOR_WEIGHT, GENERATOR_BIAS}
    if foreign or not inputs.keys() >= {"images", "rows", "scales"} or outputs != {"scores", "maps"}:
        raise EngineError("the graph is not one that `edgefed client compile` made: its inputs or outputs are others")
    return int(inputs["rows"][1])
