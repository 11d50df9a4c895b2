"""Memory on a CUDA device, through NVIDIA's own bindings: no torch is needed to run an engine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from protos.errors import BackendMissing, EngineError


class Cuda:
    """The first CUDA device and one stream on it.

    Attributes:
        name: of the device, "NVIDIA L4".
        compute_capability: as "8.9".
        stream: its address.

    Raises:
        BackendMissing: the bindings are not installed, or there is no device.
    """

    def __init__(self) -> None:
        try:
            self._cuda = import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise BackendMissing(f"CUDA's bindings cannot be loaded ({error}): pip install cuda-bindings") from error
        status, count = self._cuda.cudaGetDeviceCount()
        if status != self._cuda.cudaError_t.cudaSuccess or not count:
            raise BackendMissing(f"there is no CUDA device here ({self._told(status)}); `edgefed doctor` says what is")
        properties = self._call("cudaGetDeviceProperties", 0)
        self.name = str(properties.name.decode().rstrip("\0"))
        self.compute_capability = f"{properties.major}.{properties.minor}"
        self.stream = int(self._call("cudaStreamCreate"))

    def allocate(self, size: int) -> int:
        """The address of `size` new bytes on the device. Raises `EngineError` where they do not fit."""
        return int(self._call("cudaMalloc", max(size, 1)))

    def free(self, address: int) -> None:
        """Gives memory back."""
        self._call("cudaFree", address)

    def upload(self, address: int, array: NDArray[Any]) -> None:
        """Copies a contiguous array to the device, in the stream's order."""
        self._copy(address, array.ctypes.data, array.nbytes, "cudaMemcpyHostToDevice")

    def download(self, array: NDArray[Any], address: int) -> None:
        """Copies from the device into an array; it is there after `wait`."""
        self._copy(array.ctypes.data, address, array.nbytes, "cudaMemcpyDeviceToHost")

    def wait(self) -> None:
        """Returns when everything asked of the stream is done. Raises `EngineError` where some of it failed."""
        self._call("cudaStreamSynchronize", self.stream)

    def close(self) -> None:
        """Ends the stream."""
        self._call("cudaStreamDestroy", self.stream)

    def _copy(self, target: int, source: int, size: int, kind: str) -> None:
        self._call("cudaMemcpyAsync", target, source, size, getattr(self._cuda.cudaMemcpyKind, kind), self.stream)

    def _call(self, function: str, *arguments: Any) -> Any:
        status, *result = getattr(self._cuda, function)(*arguments)
        if status != self._cuda.cudaError_t.cudaSuccess:
            told = self._told(status)
            raise EngineError(f"{function} failed on the CUDA device: {told}; start again, or use another backend")
        return result[0] if result else None

    def _told(self, status: Any) -> str:
        return str(self._cuda.cudaGetErrorString(status)[1].decode())
