"""A graph loaded by ONNX Runtime: on the CPU, or on another of its execution providers where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

from edge_client.threads import asked_threads
from protos.errors import BackendMissing, EngineError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# TensorFloat-32 keeps 10 bits of a product: float32 would miss its own gate.
_OPTIONS: Mapping[str, Mapping[str, str]] = {CUDA: {"use_tf32": "0"}}
_INSTALL: Mapping[str, str] = {CUDA: "put onnxruntime-gpu in the place of onnxruntime (pip), with CUDA and cuDNN"}


@dataclass(frozen=True)
class Session:
    """An `onnxruntime.InferenceSession` and where it runs.

    Attributes:
        inference: ONNX Runtime's own; it has no types.
        device: the execution provider.
    """

    inference: Any
    device: str

    @property
    def backend(self) -> Literal["onnxruntime", "onnxruntime-cuda"]:
        """As asked for at the command line."""
        return "onnxruntime-cuda" if self.device == CUDA else "onnxruntime"

    def failed(self, error: Exception) -> EngineError:
        """What to raise where a call of `inference` has raised an error."""
        return EngineError(f"ONNX Runtime failed on {self.device}: {_first_line(error)}")


def open_session(model: bytes, provider: str = CPU, *, allow_fallback: bool = False) -> Session:
    """Loads a graph.

    Args:
        model: the bytes of the ONNX file.
        provider: an execution provider by ONNX Runtime's name, as "CUDAExecutionProvider".
        allow_fallback: the CPU may take the place of a provider that is not there.

    Raises:
        BackendMissing: ONNX Runtime or the provider is not on this machine.
        EngineError: the graph cannot be loaded.
    """
    ort = load_onnxruntime()
    chosen = present(provider, ort.get_available_providers(), allow_fallback=allow_fallback)
    options = ort.SessionOptions()
    options.log_severity_level = 3  # what fails is raised; its warnings are for its developers
    if threads := asked_threads():
        options.intra_op_num_threads = threads
    providers = [(name, dict(_OPTIONS.get(name, {}))) for name in dict.fromkeys([chosen, CPU])]
    try:
        inference = ort.InferenceSession(model, options, providers=providers)
    except Exception as error:  # every fault of a model file is another class of ONNX Runtime's own
        raise EngineError(f"ONNX Runtime cannot load the graph: {_first_line(error)}; compile it again") from error
    # A provider that is listed but lacks a library is left out by ONNX Runtime with no more than a warning.
    return Session(inference, present(chosen, inference.get_providers(), allow_fallback=allow_fallback))


def available_providers() -> tuple[str, ...]:
    """The execution providers of this machine's ONNX Runtime. Raises `BackendMissing` where it is not installed."""
    return tuple(load_onnxruntime().get_available_providers())


def load_onnxruntime() -> ModuleType:
    """ONNX Runtime. Raises `BackendMissing` where it is not installed."""
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise BackendMissing(f"ONNX Runtime cannot be loaded ({error}): pip install 'edgefed[runtime]'") from error


def present(provider: str, found: Sequence[str], *, allow_fallback: bool) -> str:
    """A provider that is among those found, or the CPU where it may take its place. Raises `BackendMissing`."""
    if provider in found:
        return provider
    if allow_fallback:
        return CPU
    raise BackendMissing(
        f"ONNX Runtime has no {provider} on this machine, only {', '.join(found)}; "
        f"{_INSTALL.get(provider, 'install the build that has it')}, or take the CPU with --allow-fallback"
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
