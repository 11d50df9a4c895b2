"""Which backend runs a graph on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank, Runner
from edge_client.compiled.session import CUDA
from protos.errors import BackendMissing, EngineError, InvalidInput

Backend = Literal["onnxruntime", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
AUTO = "auto"

MOST_IMAGES = 8  # at once: more are scored one part after another, so that memory stays bounded

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A graph that is to be run.

    Attributes:
        name: of its job, for engine files.
        onnx: its bytes.
        precision: of its backbone.
        size: s of its images (b, 3, s, s).
    """

    name: str
    onnx: bytes = field(repr=False)
    precision: Literal["fp32", "fp16", "int8"]
    size: int


def choose_runner(graph: Graph, bank: Bank, backend: str, *, engines: Path, allow_fallback: bool = False) -> Runner:
    """A runner on the backend that is asked for.

    "auto" takes the first of TensorRT, TensorRT-RTX, ONNX Runtime on CUDA and on the CPU that runs the graph here.

    Args:
        graph: to be run.
        bank: the first one.
        backend: a name in `BACKENDS`, or "auto".
        engines: folder in which TensorRT's engines are kept.
        allow_fallback: ONNX Runtime on the CPU may take the place of a backend that is not here.

    Raises:
        BackendMissing: the backend is not on this machine.
        EngineError: the backend is here and cannot run the graph.
        InvalidInput: there is no backend of that name, or the bank does not fit the graph.
        StateError: there is no room for an engine.
    """
    makers: dict[str, Callable[[], Runner]] = {
        "tensorrt": lambda: _tensorrt(graph, bank, "tensorrt", engines),
        "tensorrt-rtx": lambda: _tensorrt(graph, bank, "tensorrt-rtx", engines),
        "onnxruntime-cuda": lambda: OnnxRuntimeRunner(graph.onnx, bank, precision=graph.precision, provider=CUDA),
        "onnxruntime": lambda: OnnxRuntimeRunner(graph.onnx, bank, precision=graph.precision),
    }
    if backend == AUTO:
        return _first(makers)
    if backend not in makers:
        raise InvalidInput(f"there is no backend {backend[:40]!r}; choose one of {', '.join([*BACKENDS, AUTO])}")
    try:
        return makers[backend]()
    except BackendMissing as error:
        if not allow_fallback or backend == "onnxruntime":
            raise
        log.warning("%s; ONNX Runtime on the CPU takes its place", error)
        return makers["onnxruntime"]()


def _first(makers: dict[str, Callable[[], Runner]]) -> Runner:
    *others, last = makers.items()
    for name, make in others:
        try:
            return make()
        except (BackendMissing, EngineError) as error:
            log.info("not %s: %s", name, error)
    return last[1]()


def _tensorrt(graph: Graph, bank: Bank, name: Literal["tensorrt", "tensorrt-rtx"], engines: Path) -> Runner:
    from edge_client.compiled.tensorrt import BuildOptions
    from edge_client.engines.tensorrt import tensorrt_runner

    options = BuildOptions(precision=graph.precision)
    return tensorrt_runner(
        engines, graph.name, graph.onnx, bank, backend=name, size=graph.size, batch=MOST_IMAGES, options=options
    )
