"""An engine of TensorRT at work on the first CUDA device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.cuda import Cuda
from edge_client.compiled.runner import Bank, RawScores
from edge_client.compiled.tensorrt_api import TensorRT, reason
from protos.errors import EngineError, InvalidInput


class TensorRTRunner:
    """See `Runner`. The bank stays on the device; a swap is one copy.

    Args:
        trt: that the engine was built with.
        plan: the engine's bytes; whoever hands them over has checked their digest.
        bank: the first one.
        precision: that the engine was built for, to be told.
        dla_core: that the engine was built for.

    Raises:
        BackendMissing: there is no CUDA device, or its bindings are not installed.
        EngineError: the engine is not of this TensorRT or device, or is not a detector's.
        InvalidInput: the bank does not fit it.
    """

    def __init__(self, trt: TensorRT, plan: bytes, bank: Bank, *, precision: str, dla_core: int | None = None) -> None:
        self.backend = trt.name
        self.precision = precision
        self._trt = trt
        self._cuda = Cuda()
        self.device = self._cuda.name
        trt.log.take_errors()
        self._runtime = trt.module.Runtime(trt.log)  # has to outlive its engine
        if dla_core is not None:
            self._runtime.DLA_core = dla_core
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            told = reason(trt.log.take_errors())
            raise EngineError(f"{trt} cannot load the engine on {self.device}: {told}; build it again")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"{trt} has no memory for the engine on {self.device}; build it for a smaller batch")
        _, self._most = self._span("images")
        self._memory = {name: self._cuda.allocate(4 * self._room(name)) for name in ("images", "scores", "maps")}
        for name, address in self._memory.items():
            self._context.set_tensor_address(name, address)
        self.swap(bank)

    def run(self, pixels: NDArray[np.uint8]) -> RawScores:
        """See `Runner`. More images than the engine takes at once are scored one part after another."""
        parts = [self._run(pixels[start : start + self._most]) for start in range(0, len(pixels), self._most)]
        return RawScores(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def swap(self, bank: Bank) -> None:
        """See `Runner`."""
        (rows, width), taken = bank.rows.shape, int(self._engine.get_tensor_shape("rows")[1])
        if width != taken:
            raise InvalidInput(f"the memory bank has {width} features and the engine takes {taken}")
        least, most = self._span("rows")
        if not least <= rows <= most:
            raise InvalidInput(f"the memory bank has {rows} rows and the engine takes {least} to {most}; compile again")
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = bank.inputs(names)
        fresh = self._uploaded(inputs)  # whole before the first is used: a bank that finds no room changes nothing
        for name, address in fresh.items():
            self._context.set_input_shape(name, inputs[name].shape)
            self._context.set_tensor_address(name, address)
            if name in self._memory:
                self._cuda.free(self._memory[name])
            self._memory[name] = address

    def close(self) -> None:
        """See `Runner`."""
        del self._context, self._engine, self._runtime
        for address in self._memory.values():
            self._cuda.free(address)
        self._cuda.close()

    def _uploaded(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, int]:
        """Addresses of copies on the device."""
        fresh: dict[str, int] = {}
        try:
            for name, values in inputs.items():
                fresh[name] = self._cuda.allocate(values.nbytes)
                self._cuda.upload(fresh[name], values)
            self._cuda.wait()
        except EngineError:
            for address in fresh.values():
                self._cuda.free(address)
            raise
        return fresh

    def _run(self, pixels: NDArray[np.uint8]) -> RawScores:
        images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
        self._context.set_input_shape("images", images.shape)
        scores, maps = (self._answer(name) for name in ("scores", "maps"))
        self._cuda.upload(self._memory["images"], images)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise EngineError(f"{self._trt} failed on {self.device}: {reason(self._trt.log.take_errors())}")
        self._cuda.download(scores, self._memory["scores"])
        self._cuda.download(maps, self._memory["maps"])
        self._cuda.wait()
        return RawScores(scores, maps)

    def _answer(self, name: str) -> NDArray[np.float32]:
        return np.empty(tuple(self._context.get_tensor_shape(name)), np.float32)

    def _span(self, name: str) -> tuple[int, int]:
        least, _, most = self._engine.get_tensor_profile_shape(name, 0)
        return int(least[0]), int(most[0])

    def _room(self, name: str) -> int:
        """Values that a tensor of images, scores or maps holds at most."""
        _, *fixed = self._engine.get_tensor_shape(name)
        return self._most * int(np.prod(fixed, dtype=np.int64))
