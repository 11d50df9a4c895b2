"""What is ONNX Runtime's own: providers, threads, graphs that are not ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_client.bundle.bundle import Bundle, open_bundle
from edge_client.compiled.backends import Graph, choose_runner
from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank
from edge_client.compiled.session import CPU, CUDA, available_providers
from protos.errors import BackendMissing, EngineError, InvalidInput


@pytest.fixture(scope="module")
def bundle(compiled_bundle: Path) -> Bundle:
    return open_bundle(compiled_bundle)


def test_a_provider_that_is_not_here_is_an_error_with_exit_code_4(bundle: Bundle) -> None:
    assert CPU in available_providers()
    with pytest.raises(BackendMissing, match="has no MIGraphXExecutionProvider on this machine, only"):
        OnnxRuntimeRunner(bundle.model, bundle.bank, provider="MIGraphXExecutionProvider")
    assert BackendMissing.exit_code == 4


def test_the_cpu_takes_a_providers_place_only_when_it_may(bundle: Bundle) -> None:
    runner = OnnxRuntimeRunner(bundle.model, bundle.bank, provider="MIGraphXExecutionProvider", allow_fallback=True)
    assert runner.device == CPU


def test_cuda_that_is_not_here_says_what_to_install(bundle: Bundle, tmp_path: Path) -> None:
    if CUDA in available_providers():
        pytest.skip("this ONNX Runtime knows CUDA")
    graph = Graph(name="cells", onnx=bundle.model, precision="fp32", size=96)
    with pytest.raises(BackendMissing, match="put onnxruntime-gpu in the place of onnxruntime"):
        choose_runner(graph, bundle.bank, "onnxruntime-cuda", engines=tmp_path)
    runner = choose_runner(graph, bundle.bank, "onnxruntime-cuda", engines=tmp_path, allow_fallback=True)
    assert (runner.backend, runner.device) == ("onnxruntime", CPU)


def test_a_bank_for_which_there_is_no_room_is_refused_before_it_is_taken(bundle: Bundle) -> None:
    runner = OnnxRuntimeRunner(bundle.model, bundle.bank)
    rows = 1 << 40  # of one row in memory
    huge = Bank(np.broadcast_to(bundle.bank.rows[:1], (rows, 152)), np.broadcast_to(np.float32(1), rows))
    with pytest.raises(
        EngineError, match=f"144 patches against {rows} rows, take {4 * 144 * rows} bytes .* lower rows"
    ):
        runner.swap(huge)
    assert np.isfinite(runner.run(np.zeros((1, 96, 96, 3), np.uint8)).map).all()  # with the bank that it had


def test_the_thread_count_is_the_sites(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFED_THREADS", "1")
    pixels = np.zeros((1, 96, 96, 3), np.uint8)
    assert np.isfinite(OnnxRuntimeRunner(bundle.model, bundle.bank).run(pixels).map).all()
    monkeypatch.setenv("EDGEFED_THREADS", "none")
    with pytest.raises(InvalidInput, match="EDGEFED_THREADS is 'none'"):
        OnnxRuntimeRunner(bundle.model, bundle.bank)


def test_a_graph_of_somebody_else_is_told(bundle: Bundle) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    answer = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], "other", [value], [answer])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    with pytest.raises(EngineError, match="is not one that `edgefed client compile` made"):
        OnnxRuntimeRunner(model.SerializeToString(), bundle.bank)
