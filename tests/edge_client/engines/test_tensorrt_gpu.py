"""Engines at work on a real device, held against ONNX Runtime on the CPU."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_client.compiled.cuda import Cuda
from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank, Runner
from edge_client.compiled.tensorrt import BuildOptions, build_engine
from edge_client.compiled.tensorrt_api import Name, TensorRT, find_tensorrt
from edge_client.compiled.tensorrt_profile import detector_profile
from edge_client.compiled.tensorrt_runner import TensorRTRunner
from edge_client.engines.golden import golden_bank, golden_pixels
from edge_client.engines.tensorrt import tensorrt_runner
from protos.errors import BackendMissing, EngineError, InvalidInput

BANK = golden_bank(32, 152)
Make = Callable[..., Runner]


@pytest.fixture
def no_device() -> None:
    try:
        Cuda().close()
    except BackendMissing:
        return
    pytest.skip("there is a CUDA device here")


def test_without_a_device_nothing_is_built_and_no_other_backend_is_taken(
    no_device: None, rtx: TensorRT, onnx_model: bytes, tmp_path: Path
) -> None:
    with pytest.raises(BackendMissing, match="there is no CUDA device here") as caught:
        tensorrt_runner(
            tmp_path, "cells", onnx_model, BANK, backend="tensorrt-rtx", size=96, batch=4, options=BuildOptions()
        )
    assert caught.value.exit_code == 4
    assert not list(tmp_path.iterdir())


def test_without_the_bindings_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(BackendMissing, match="pip install cuda-bindings"):
        Cuda()


@pytest.fixture(params=["tensorrt", "tensorrt-rtx"])
def make(request: pytest.FixtureRequest, onnx_model: bytes, tmp_path: Path) -> Make:
    """Makes runners on the first CUDA device; skips where there is none, or no such TensorRT."""
    backend: Name = request.param
    try:
        find_tensorrt(backend)
        Cuda().close()
    except BackendMissing as error:
        pytest.skip(str(error))

    def runner(bank: Bank = BANK, data: bytes = onnx_model) -> Runner:
        return tensorrt_runner(tmp_path, "cells", data, bank, backend=backend, size=96, batch=4, options=BuildOptions())

    return runner


@pytest.mark.gpu
@pytest.mark.parametrize("images", [1, 4, 9])
def test_an_engine_scores_as_onnx_runtime_does_at_any_batch(make: Make, onnx_model: bytes, images: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (images, 96, 96, 3), np.uint8)
    found, expected = make().run(pixels), OnnxRuntimeRunner(onnx_model, BANK).run(pixels)
    np.testing.assert_allclose(found.image, expected.image, rtol=1e-3)
    np.testing.assert_allclose(found.map, expected.map, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_a_kept_engine_is_not_built_again(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    first = make().run(golden_pixels(96))
    with caplog.at_level(logging.INFO):
        second = make().run(golden_pixels(96))
    assert "building" not in caplog.text
    np.testing.assert_allclose(first.image, second.image, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 32, 1000])
def test_a_swapped_bank_is_scored_against_without_a_new_engine(make: Make, onnx_model: bytes, rows: int) -> None:
    runner, other = make(), golden_bank(rows, 152)
    runner.swap(other)
    found, expected = runner.run(golden_pixels(96)), OnnxRuntimeRunner(onnx_model, other).run(golden_pixels(96))
    np.testing.assert_allclose(found.image, expected.image, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("bank", [golden_bank(32, 7), golden_bank(2000, 152)])
def test_a_bank_that_does_not_fit_is_refused_and_the_old_one_stays(make: Make, bank: Bank) -> None:
    runner = make()
    before = runner.run(golden_pixels(96))
    with pytest.raises(InvalidInput):
        runner.swap(bank)
    np.testing.assert_array_equal(runner.run(golden_pixels(96)).image, before.image)


@pytest.mark.gpu
def test_an_engine_for_another_device_is_refused(make: Make, rtx: TensorRT, onnx_model: bytes) -> None:
    target = next(name for name in rtx.targets[1:] if name != f"SM{Cuda().compute_capability.replace('.', '')}")
    plan = build_engine(rtx, onnx_model, detector_profile(4, 32), BuildOptions(target=target))
    with pytest.raises(EngineError):
        TensorRTRunner(rtx, plan, BANK, precision="fp32")
