"""The cache at work, with ONNX Runtime in TensorRT's place: its "engine" is the graph, and it really runs here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank, RawScores, Runner
from edge_client.compiled.tensorrt import BuildOptions
from edge_client.compiled.tensorrt_api import TensorRT
from edge_client.compiled.tensorrt_profile import detector_profile
from edge_client.engines.cache import Engine, EngineCache
from edge_client.engines.device import Device
from edge_client.engines.golden import golden_bank, golden_pixels
from edge_client.engines.key import EngineKey
from edge_client.engines.provide import Wanted, provide
from protos.errors import EngineError, InvalidInput
from tests.edge_client.compiled.bindings import bindings

BANK = golden_bank(32, 152)
TRT = TensorRT("tensorrt", bindings(10)[0])


class Bench:
    """Counts what is built and loaded for one model."""

    def __init__(self, data: bytes, folder: Path) -> None:
        self.data = data
        self.cache = EngineCache(folder)
        self.built = 0
        self.loaded: list[bytes] = []

    @property
    def wanted(self) -> Wanted:
        device = Device(os="ubuntu 22.04", arch="x86_64")
        key = EngineKey.of(self.data, TRT, device, detector_profile(8, 32), BuildOptions())
        return Wanted(model="cells", key=key, size=96, rows=64, build=self._build, load=self._load)

    def provide(self) -> RawScores:
        runner = provide(self.cache, self.wanted, BANK)
        scores = runner.run(golden_pixels(96))
        runner.close()
        return scores

    def _build(self) -> bytes:
        self.built += 1
        return self.data

    def _load(self, plan: bytes, bank: Bank) -> Runner:
        self.loaded.append(plan)
        return OnnxRuntimeRunner(plan, bank)


@pytest.fixture
def bench(onnx_model: bytes, tmp_path: Path) -> Bench:
    return Bench(onnx_model, tmp_path / "engines")


def with_other_weights(data: bytes) -> bytes:
    model = onnx.load_from_string(data)
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * 2, largest.name))
    return model.SerializeToString()


def test_an_engine_is_built_once_and_scores_the_same_from_the_cache(bench: Bench) -> None:
    first, second = bench.provide(), bench.provide()
    assert (bench.built, len(bench.loaded)) == (1, 2)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.map, OnnxRuntimeRunner(bench.data, BANK).run(golden_pixels(96)).map)


def test_a_model_with_other_weights_is_built_and_scores_otherwise(bench: Bench) -> None:
    first = bench.provide()
    bench.data = with_other_weights(bench.data)
    second = bench.provide()
    assert bench.built == 2
    assert abs(first.image - second.image).max() > 1e-3


def tamper(bench: Bench) -> None:
    bench.cache.path("cells", bench.wanted.key).write_bytes(with_other_weights(bench.data))


def answer_otherwise(bench: Bench) -> None:
    """An engine with the right name, digest and seal that gives other answers than it did when it was built."""
    found = bench.cache.find("cells", bench.wanted.key)
    assert isinstance(found, Engine)
    golden = tuple(1.01 * value for value in found.sidecar.golden)
    bench.cache.keep("cells", bench.wanted.key, found.plan, build_seconds=1, golden=golden)


def no_longer_loads(bench: Bench) -> None:
    bench.cache.keep("cells", bench.wanted.key, b"of another driver", build_seconds=1, golden=(1.0,))


@pytest.mark.parametrize(
    ("harm", "loads", "words"),
    [
        (tamper, 0, "its bytes are not those that were built"),
        (answer_otherwise, 1, "it answers the golden input with"),
        (no_longer_loads, 1, "is given up: ONNX Runtime cannot load"),
    ],
)
def test_an_engine_that_does_not_prove_itself_is_built_anew(
    bench: Bench, harm: Callable[[Bench], None], loads: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = bench.provide()
    harm(bench)
    bench.loaded.clear()
    with caplog.at_level(logging.INFO):
        np.testing.assert_array_equal(bench.provide().image, expected.image)
    assert (bench.built, len(bench.loaded)) == (2, loads + 1)
    assert words in caplog.text
    bench.provide()
    assert bench.built == 2


def test_two_at_once_build_it_once(bench: Bench) -> None:
    threads = [threading.Thread(target=bench.provide) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (bench.built, len(bench.loaded)) == (1, 2)


def test_a_fresh_engine_that_answers_no_numbers_is_not_kept(bench: Bench) -> None:
    class NoNumbers(OnnxRuntimeRunner):
        def run(self, pixels: np.ndarray) -> RawScores:
            return RawScores(*(np.full_like(array, np.nan) for array in super().run(pixels)))

    wanted = replace(bench.wanted, load=lambda plan, bank: NoNumbers(plan, bank))
    with pytest.raises(EngineError, match=r"answers no numbers.*--precision fp32"):
        provide(bench.cache, wanted, BANK)
    assert not list(bench.cache.path("cells", wanted.key).parent.glob("*.engine"))


def test_a_bank_of_another_width_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="has 7 features"):
        provide(bench.cache, bench.wanted, golden_bank(4, 7))
