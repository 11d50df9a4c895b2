"""Compiled models on ONNX Runtime: on the CPU, or on another of its execution providers where one is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.room import free_bytes, images_that_fit
from edge_client.compiled.runner import GENERATOR_BIAS, GENERATOR_WEIGHT, Bank, RawScores
from edge_client.threads import asked_threads
from protos.errors import BackendMissing, EngineError, InvalidInput

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# TensorFloat-32 keeps 10 bits of a product: float32 would miss its own gate.
_OPTIONS: Mapping[str, Mapping[str, str]] = {CUDA: {"use_tf32": "0"}}
_INSTALL: Mapping[str, str] = {CUDA: "put onnxruntime-gpu in the place of onnxruntime (pip), with CUDA and cuDNN"}

# Images that a CPU takes at once: an image of a larger batch takes longer, as it finds less of its own in the cache.
_CPU_BATCH = max(2, os.cpu_count() or 1)


class OnnxRuntimeRunner:
    """A session over one graph. The bank lies in the session's own memory and is not handed over at every call.

    Args:
        model: the bytes of the ONNX file.
        bank: the first one.
        precision: of the graph's backbone, to be told.
        provider: an execution provider by ONNX Runtime's name, as "CUDAExecutionProvider".
        allow_fallback: the CPU may take the place of a provider that is not there.

    Raises:
        BackendMissing: ONNX Runtime or the provider is not on this machine.
        EngineError: the graph cannot be loaded, or this machine has too little memory for the bank.
        InvalidInput: the bank does not fit the graph.
    """

    def __init__(
        self, model: bytes, bank: Bank, *, precision: str = "fp32", provider: str = CPU, allow_fallback: bool = False
    ) -> None:
        self._ort = _onnxruntime()
        self.precision = precision
        chosen = _present(provider, self._ort.get_available_providers(), allow_fallback=allow_fallback)
        options = self._options()
        providers = [(name, dict(_OPTIONS.get(name, {}))) for name in dict.fromkeys([chosen, CPU])]
        try:
            self._session = self._ort.InferenceSession(model, options, providers=providers)
        except Exception as error:  # every fault of a model file is another class of ONNX Runtime's own
            raise EngineError(f"ONNX Runtime cannot load the graph: {_first_line(error)}; compile it again") from error
        # A provider that is listed but lacks a library is left out by ONNX Runtime with no more than a warning.
        self.device = _present(chosen, self._session.get_providers(), allow_fallback=allow_fallback)
        self.backend = "onnxruntime-cuda" if self.device == CUDA else "onnxruntime"
        self._width = _width(self._session)
        self.swap(bank)

    def run(self, pixels: NDArray[np.uint8]) -> RawScores:
        """See `Runner`."""
        if len(pixels) <= self._at_once:
            return self._run(pixels)
        parts = [self._run(pixels[start : start + self._at_once]) for start in range(0, len(pixels), self._at_once)]
        return RawScores(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _run(self, pixels: NDArray[np.uint8]) -> RawScores:
        images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
        feeds = {"images": self._ort.OrtValue.ortvalue_from_numpy(images), **self._bank}
        try:
            scores, maps = self._session.run_with_ort_values(["scores", "maps"], feeds)
        except Exception as error:
            raise EngineError(f"ONNX Runtime failed on {self.device}: {_first_line(error)}") from error
        return RawScores(scores.numpy(), maps.numpy())

    def swap(self, bank: Bank) -> None:
        """See `Runner`."""
        if bank.rows.shape[1] != self._width:
            raise InvalidInput(f"the memory bank has {bank.rows.shape[1]} features and the graph takes {self._width}")
        self._at_once = self._fitting(len(bank.rows))
        inputs = bank.inputs([entry.name for entry in self._session.get_inputs()])
        self._bank = {name: self._ort.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}

    def close(self) -> None:
        """See `Runner`."""
        del self._session, self._bank

    def _fitting(self, rows: int) -> int:
        """How many images go through the graph together."""
        if self.device != CPU:
            return sys.maxsize  # what room a GPU has, its own library tells when it takes it
        height, width = next(entry.shape[1:] for entry in self._session.get_outputs() if entry.name == "maps")
        return min(_CPU_BATCH, images_that_fit(height * width, rows, free_bytes()))

    def _options(self) -> object:
        options = self._ort.SessionOptions()
        options.log_severity_level = 3  # what fails is raised; its warnings are for its developers
        if threads := asked_threads():
            options.intra_op_num_threads = threads
        return options


def available_providers() -> tuple[str, ...]:
    """The execution providers of this machine's ONNX Runtime. Raises `BackendMissing` where it is not installed."""
    return tuple(_onnxruntime().get_available_providers())


def _onnxruntime() -> ModuleType:
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise BackendMissing(f"ONNX Runtime cannot be loaded ({error}): pip install 'edgefed[runtime]'") from error


def _present(provider: str, found: Sequence[str], *, allow_fallback: bool) -> str:
    if provider in found:
        return provider
    if allow_fallback:
        return CPU
    raise BackendMissing(
        f"ONNX Runtime has no {provider} on this machine, only {', '.join(found)}; "
        f"{_INSTALL.get(provider, 'install the build that has it')}, or take the CPU with --allow-fallback"
    )


def _width(session: object) -> int:
    inputs = {entry.name: entry.shape for entry in session.get_inputs()}  # type: ignore[attr-defined]  # untyped
    outputs = {entry.name for entry in session.get_outputs()}  # type: ignore[attr-defined]
    foreign = inputs.keys() - {"images", "rows", "scales", GENERATOR_WEIGHT, GENERATOR_BIAS}
    if foreign or not inputs.keys() >= {"images", "rows", "scales"} or outputs != {"scores", "maps"}:
        raise EngineError("the graph is not one that `edgefed client compile` made: its inputs or outputs are others")
    return int(inputs["rows"][1])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
