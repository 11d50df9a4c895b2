"""What the runner asks of a device, over a stand-in for one; on a real one `test_tensorrt_gpu.py` runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank
from edge_client.compiled.tensorrt_api import TensorRT
from edge_client.compiled.tensorrt_profile import detector_profile
from edge_client.compiled.tensorrt_runner import TensorRTRunner
from edge_client.engines.golden import golden_bank
from protos.errors import EngineError, InvalidInput
from tests.edge_client.compiled.bindings import bindings
from tests.edge_client.compiled.host_device import HostCuda, host_tensorrt

BANK = golden_bank(32, 152)
PIXELS = np.random.default_rng(1).integers(0, 256, (9, 96, 96, 3), np.uint8)
Load = Callable[..., TensorRTRunner]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> HostCuda:
    host = HostCuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", host)
    return host


@pytest.fixture
def load(cuda: HostCuda, onnx_model: bytes) -> Load:
    """Loads an engine for at most 4 images and 1024 rows."""
    module, _ = bindings(10)
    host_tensorrt(module, cuda, detector_profile(4, 32))

    def runner(plan: bytes = onnx_model, bank: Bank = BANK) -> TensorRTRunner:
        return TensorRTRunner(TensorRT("tensorrt", module), plan, bank, precision="fp32")

    return runner


@pytest.mark.parametrize("images", [1, 4, 9])
def test_images_beyond_the_engines_batch_are_scored_in_parts(load: Load, onnx_model: bytes, images: int) -> None:
    found, expected = load().run(PIXELS[:images]), OnnxRuntimeRunner(onnx_model, BANK).run(PIXELS[:images])
    np.testing.assert_allclose(found.image, expected.image, rtol=1e-5)
    np.testing.assert_allclose(found.map, expected.map, rtol=1e-4, atol=1e-5)


def test_a_swap_takes_the_generator_too_and_holds_no_old_memory(load: Load, cuda: HostCuda, onnx_model: bytes) -> None:
    runner = load()
    blocks = len(cuda.held)
    larger = golden_bank(1000, 152)
    other = Bank(larger.rows, larger.scales, (np.eye(152, dtype=np.float32), np.full(152, 0.01, np.float32)))
    for _ in range(3):
        runner.swap(other)
    assert len(cuda.held) == blocks
    expected = OnnxRuntimeRunner(onnx_model, other).run(PIXELS[:2])
    np.testing.assert_allclose(runner.run(PIXELS[:2]).image, expected.image, rtol=1e-5)


@pytest.mark.parametrize(
    ("bank", "words"), [(golden_bank(32, 7), "has 7 features"), (golden_bank(1025, 152), "takes 1 to 1024")]
)
def test_a_bank_that_does_not_fit_is_refused_and_the_old_one_stays(load: Load, bank: Bank, words: str) -> None:
    runner = load()
    before = runner.run(PIXELS[:1])
    with pytest.raises(InvalidInput, match=words):
        runner.swap(bank)
    np.testing.assert_array_equal(runner.run(PIXELS[:1]).image, before.image)


def test_a_bank_that_finds_no_room_on_the_device_changes_nothing(load: Load, cuda: HostCuda) -> None:
    runner, larger = load(), golden_bank(1000, 152)
    before, blocks = runner.run(PIXELS[:1]), len(cuda.held)
    cuda.free_bytes = larger.rows.nbytes + 10  # for the rows, and not for the scales
    with pytest.raises(EngineError, match="out of memory"):
        runner.swap(larger)
    assert len(cuda.held) == blocks
    np.testing.assert_array_equal(runner.run(PIXELS[:1]).image, before.image)


def test_a_closed_runner_has_given_all_its_memory_back(load: Load, cuda: HostCuda) -> None:
    runner = load()
    runner.run(PIXELS[:1])
    runner.close()
    assert not cuda.held


def test_a_device_without_room_is_an_engine_fault(load: Load, cuda: HostCuda) -> None:
    cuda.free_bytes = 1000
    with pytest.raises(EngineError, match="cudaMalloc failed on the CUDA device: out of memory"):
        load()


def test_a_plan_of_another_tensorrt_or_device_is_an_engine_fault(load: Load) -> None:
    with pytest.raises(EngineError, match=r"tensorrt 10\.3\.0 cannot load the engine on Host device.*build it again"):
        load(b"")
