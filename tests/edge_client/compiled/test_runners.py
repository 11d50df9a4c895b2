"""What every backend promises, held for each of them; those that need a GPU run where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_client.bundle.bundle import Bundle, open_bundle
from edge_client.compiled.backends import AUTO, BACKENDS, Graph, choose_runner
from edge_client.compiled.runner import Bank, Runner
from protos.errors import BackendMissing, EngineError, InvalidInput


@pytest.fixture(scope="module")
def bundle(compiled_bundle: Path) -> Bundle:
    return open_bundle(compiled_bundle)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (11, 96, 96, 3), np.uint8)


@pytest.fixture(params=["onnxruntime", *(pytest.param(name, marks=pytest.mark.gpu) for name in BACKENDS[1:])])
def runner(request: pytest.FixtureRequest, bundle: Bundle, tmp_path: Path) -> Iterator[Runner]:
    graph = Graph(name="cells", onnx=bundle.model, precision="fp32", size=96)
    try:
        made = choose_runner(graph, bundle.bank, request.param, engines=tmp_path)
    except BackendMissing as error:
        pytest.skip(str(error))
    assert (made.backend, made.precision) == (request.param, "fp32") and made.device
    yield made
    made.close()


def other(bundle: Bundle, rows: int = 20) -> Bank:
    drawn = np.random.default_rng(1).standard_normal((rows, bundle.bank.rows.shape[1])).astype(np.float32)
    weight, bias = bundle.bank.generator or (None, None)
    assert weight is not None and bias is not None
    return Bank(drawn, np.full(rows, 1.1, np.float32), (-weight, bias + 0.01))


@pytest.mark.parametrize("images", [1, 2, 8, 11])
def test_an_image_scores_the_same_alone_and_among_others(
    runner: Runner, pixels: NDArray[np.uint8], images: int
) -> None:
    alone, together = runner.run(pixels[:1]), runner.run(pixels[:images])
    assert together.image.shape == (images,) and together.map.shape == (images, 12, 12)
    assert together.image.dtype == together.map.dtype == np.float32
    np.testing.assert_allclose(together.image[:1], alone.image, rtol=1e-5)
    np.testing.assert_allclose(together.map[:1], alone.map, rtol=1e-4, atol=1e-5)


def test_a_swap_is_as_good_as_a_new_runner_and_can_be_taken_back(
    runner: Runner, bundle: Bundle, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    before = runner.run(pixels[:2])
    runner.swap(other(bundle))
    swapped = runner.run(pixels[:2])
    graph = Graph(name="cells", onnx=bundle.model, precision="fp32", size=96)
    fresh = choose_runner(graph, other(bundle), runner.backend, engines=tmp_path)
    np.testing.assert_array_equal(swapped.image, fresh.run(pixels[:2]).image)
    fresh.close()
    assert not np.allclose(swapped.image, before.image)
    runner.swap(bundle.bank)
    np.testing.assert_array_equal(runner.run(pixels[:2]).map, before.map)


def test_the_generator_is_swapped_with_the_memory(runner: Runner, bundle: Bundle, pixels: NDArray[np.uint8]) -> None:
    """A memory that is swapped alone would be searched with patches that an old generator has moved."""
    memory = bundle.bank
    runner.swap(Bank(memory.rows, memory.scales, other(bundle).generator))
    moved = runner.run(pixels[:1])
    runner.swap(Bank(memory.rows, memory.scales))
    still = runner.run(pixels[:1])
    assert not np.allclose(moved.map, still.map)


def test_a_bank_of_another_width_is_refused_and_the_old_one_stays(
    runner: Runner, bundle: Bundle, pixels: NDArray[np.uint8]
) -> None:
    before = runner.run(pixels[:1])
    with pytest.raises(InvalidInput, match="has 151 features and the"):
        runner.swap(Bank(bundle.bank.rows[:, :151], bundle.bank.scales))
    np.testing.assert_array_equal(runner.run(pixels[:1]).map, before.map)


@pytest.mark.parametrize("spoil", [lambda model: b"", lambda model: model[: len(model) // 2], lambda model: b"\0" * 99])
def test_a_damaged_graph_is_one_error(bundle: Bundle, spoil: Callable[[bytes], bytes], tmp_path: Path) -> None:
    graph = Graph(name="cells", onnx=spoil(bundle.model), precision="fp32", size=96)
    with pytest.raises(EngineError, match=r"cannot load the graph: [^\n]+; compile it again"):
        choose_runner(graph, bundle.bank, "onnxruntime", engines=tmp_path)


def test_a_backend_that_is_not_here_is_refused_unless_the_cpu_may_take_its_place(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = Graph(name="cells", onnx=bundle.model, precision="fp32", size=96)
    try:
        choose_runner(graph, bundle.bank, "tensorrt", engines=tmp_path).close()
        pytest.skip("TensorRT is on this machine")
    except BackendMissing as error:
        assert error.exit_code == 4
    taken = choose_runner(graph, bundle.bank, "tensorrt", engines=tmp_path, allow_fallback=True)
    assert (taken.backend, taken.device) == ("onnxruntime", "CPUExecutionProvider")
    assert "takes its place" in caplog.text
    assert choose_runner(graph, bundle.bank, AUTO, engines=tmp_path).backend in BACKENDS


def test_an_unknown_backend_is_named(bundle: Bundle, tmp_path: Path) -> None:
    graph = Graph(name="cells", onnx=bundle.model, precision="fp32", size=96)
    with pytest.raises(
        InvalidInput, match="no backend 'openvino'; choose one of onnxruntime, onnxruntime-cuda, tensorrt"
    ):
        choose_runner(graph, bundle.bank, "openvino", engines=tmp_path)
