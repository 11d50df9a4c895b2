"""A stand-in for a CUDA device: memory of this process, and ONNX Runtime in the engine's place.

It shows that the runner names, sizes, copies, runs and frees what it should. It does not show that TensorRT does.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from edge_client.compiled.tensorrt_profile import Profile

Status = IntEnum("Status", {"cudaSuccess": 0, "cudaErrorMemoryAllocation": 2})


class HostCuda(ModuleType):
    """`cuda.bindings.runtime` over this process's memory; `free_bytes` is what is left of it."""

    cudaError_t = Status
    cudaMemcpyKind = IntEnum("cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2})

    def __init__(self, free_bytes: int = 1 << 30) -> None:
        super().__init__("cuda.bindings.runtime")
        self.free_bytes = free_bytes
        self.held: dict[int, ctypes.Array[ctypes.c_char]] = {}

    def cudaGetDeviceCount(self) -> Any:
        return Status.cudaSuccess, 1

    def cudaGetDeviceProperties(self, device: int) -> Any:
        return Status.cudaSuccess, SimpleNamespace(name=b"Host device", major=8, minor=9)

    def cudaGetErrorString(self, status: Status) -> Any:
        return Status.cudaSuccess, b"out of memory"

    def cudaStreamCreate(self) -> Any:
        return Status.cudaSuccess, 7

    def cudaStreamSynchronize(self, stream: int) -> Any:
        return (Status.cudaSuccess,)

    def cudaStreamDestroy(self, stream: int) -> Any:
        return (Status.cudaSuccess,)

    def cudaMalloc(self, size: int) -> Any:
        if size > self.free_bytes:
            return Status.cudaErrorMemoryAllocation, None
        block = ctypes.create_string_buffer(size)
        self.held[ctypes.addressof(block)] = block
        self.free_bytes -= size
        return Status.cudaSuccess, ctypes.addressof(block)

    def cudaFree(self, address: int) -> Any:
        self.free_bytes += len(self.held.pop(address))
        return (Status.cudaSuccess,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> Any:
        device = target if kind == 1 else source
        assert size <= len(self.held[device]), "a copy beyond the memory that was asked for"
        ctypes.memmove(target, source, size)
        return (Status.cudaSuccess,)


class HostEngine:
    """An `ICudaEngine` and its context in one, of an ONNX file."""

    def __init__(self, cuda: HostCuda, onnx: bytes, profile: Profile) -> None:
        self._cuda, self._profile = cuda, profile
        self._session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._shapes = {
            entry.name: tuple(axis if isinstance(axis, int) else -1 for axis in entry.shape)
            for entry in (*inputs, *outputs)
        }
        self._inputs, self._outputs = ([entry.name for entry in entries] for entries in (inputs, outputs))
        self._now: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self.num_io_tensors, self.get_tensor_name = len(self._shapes), list(self._shapes).__getitem__

    def create_execution_context(self) -> HostEngine:
        return self

    def get_tensor_profile_shape(self, name: str, index: int) -> Any:
        span, (_, *fixed) = self._profile[name], self._shapes[name]
        return [(length, *fixed) for length in (span.least, span.usual, span.most)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        first, *fixed = self._shapes[name]
        batch = self._now.get("images", (-1,))[0] if name in self._outputs else first
        return batch, *fixed

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._now[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        feeds = {name: self._at(name, self._now[name]).copy() for name in self._inputs}
        for name, found in zip(self._outputs, self._session.run(self._outputs, feeds), strict=True):
            self._at(name, found.shape)[...] = found
        return True

    def _at(self, name: str, shape: tuple[int, ...]) -> Any:
        block = self._cuda.held[self._addresses[name]]
        return np.frombuffer(block, np.float32, count=int(np.prod(shape))).reshape(shape)


def host_tensorrt(module: ModuleType, cuda: HostCuda, profile: Profile) -> None:
    """Lets stand-in bindings load an ONNX file's bytes as an engine on a stand-in device; b"" is none of theirs."""
    module.Runtime = lambda log: SimpleNamespace(  # type: ignore[attr-defined]
        deserialize_cuda_engine=lambda plan: HostEngine(cuda, plan, profile) if plan else None
    )
