"""A detector's ONNX file on TensorRT, with an engine from the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_client.compiled.cuda import Cuda
from edge_client.compiled.runner import Bank, Runner
from edge_client.compiled.tensorrt import BuildOptions, build_engine
from edge_client.compiled.tensorrt_api import Name, find_tensorrt
from edge_client.compiled.tensorrt_profile import detector_profile, fixed_profile
from edge_client.compiled.tensorrt_runner import TensorRTRunner
from edge_client.engines.cache import EngineCache
from edge_client.engines.device import Device, Gpu
from edge_client.engines.key import EngineKey
from edge_client.engines.provide import Wanted, provide
from edge_client.engines.this_device import read_device


def tensorrt_runner(
    folder: Path, model: str, onnx: bytes, bank: Bank, *, backend: Name, size: int, batch: int, options: BuildOptions
) -> Runner:
    """A runner on the first CUDA device; its engine is built where the cache has none that may be used.

    Args:
        folder: of the engines.
        model: its name, for the file and the log.
        onnx: the bytes of the file, typed as `options.precision` says.
        bank: the first one.
        backend: which TensorRT.
        size: s of the images (b, 3, s, s).
        batch: the most images that the engine takes at once.
        options: precision and DLA core; without a target.

    Raises:
        BackendMissing: this TensorRT is not installed, or there is no CUDA device.
        EngineError: the engine cannot be built or does not run.
        InvalidInput: the bank does not fit the graph.
        StateError: the disk has no room.
    """
    trt, device = find_tensorrt(backend), _device()
    rows, core = len(bank.rows), options.dla_core
    profile = detector_profile(batch, rows) if core is None else fixed_profile(rows)
    wanted = Wanted(
        model=model,
        key=EngineKey.of(onnx, trt, device, profile, options),
        size=size,
        rows=profile["rows"].usual,
        build=lambda: build_engine(trt, onnx, profile, options),
        load=lambda plan, first: TensorRTRunner(trt, plan, first, precision=options.precision, dla_core=core),
    )
    return provide(EngineCache(folder), wanted, bank)


def _device() -> Device:
    """This machine with the GPU that CUDA puts first, which need not be the one that nvidia-smi lists first."""
    cuda, device = Cuda(), read_device()
    cuda.close()
    driver = device.gpu.driver if device.gpu else ""
    gpu = Gpu(name=cuda.name, compute_capability=cuda.compute_capability, driver=driver)
    return replace(device, gpu=gpu)
