"""Real engines, built by TensorRT-RTX for devices that are not here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from edge_client.compile.export import export
from edge_client.compiled.tensorrt import BuildOptions, Precision, build_engine
from edge_client.compiled.tensorrt_api import TensorRT
from edge_client.compiled.tensorrt_profile import Span, detector_profile
from edge_client.engines.golden import golden_bank, golden_pixels
from edge_client.prove.fp16 import to_fp16
from edge_client.prove.int8 import Quantiser, Scheme
from models.backbones.registry import BACKBONES
from models.features import PatchFeatures
from models.feddymem.graph import ScoringGraph
from models.feddymem.settings import Score
from protos.errors import EngineError, InvalidInput

PROFILE = detector_profile(8, 512)
VECTOR = {"x": Span(1, 1, 8)}


def of_one_node(operator: str, kind: int = TensorProto.FLOAT) -> bytes:
    """An ONNX file with one node, "the_node", on a batch of 4x4 matrices."""
    node = helper.make_node(operator, ["x"], ["y"], name="the_node")
    x, y = (helper.make_tensor_value_info(name, kind, ["b", 4, 4]) for name in ("x", "y"))
    graph = helper.make_graph([node], "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def lowered(model: bytes, precision: Precision, width: int, size: int) -> bytes:
    """The graph in float16, or in int8 with Q/DQ nodes as TensorRT wants them."""
    if precision == "fp16":
        return to_fp16(model)
    quantiser = Quantiser(model, golden_bank(16, width), golden_pixels(size), Scheme(symmetric=True))
    try:
        return quantiser.graph()
    finally:
        quantiser.close()


@pytest.mark.parametrize("target", ["SM80", "SM86", "SM89", "SM120"])
def test_the_detectors_graph_becomes_an_engine_for_each_target(rtx: TensorRT, onnx_model: bytes, target: str) -> None:
    plan = build_engine(rtx, onnx_model, PROFILE, BuildOptions(target=target))
    assert len(plan) > len(onnx_model) / 2  # the weights are in it


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_lower_precisions_become_engines_from_their_own_typed_files(
    rtx: TensorRT, onnx_model: bytes, precision: Precision
) -> None:
    options = BuildOptions(precision=precision, target="SM89")
    assert build_engine(rtx, lowered(onnx_model, precision, 152, 96), PROFILE, options)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_the_graph_of_every_backbone_becomes_an_engine(rtx: TensorRT, backbone: str, tmp_path: Path) -> None:
    """With random weights: published ones are not on every machine, and an engine has the same layers either way."""
    weights = tmp_path / "weights.safetensors"
    save_file(BACKBONES[backbone].build().state_dict(), weights)
    features = PatchFeatures(backbone, ("stride8", "stride16"), weights)
    model = export(ScoringGraph(features, Score(), generator=True).eval(), 224)
    for target in ("SM80", "SM86", "SM89", "SM120"):
        assert len(build_engine(rtx, model, PROFILE, BuildOptions(target=target))) > len(model) / 2
    precisions: tuple[Precision, ...] = ("fp16", "int8")
    for precision in precisions:
        data = lowered(model, precision, sum(features.widths), 224)
        assert build_engine(rtx, data, PROFILE, BuildOptions(precision=precision, target="SM89"))


def test_turing_is_refused_with_the_node_and_a_way_out(rtx: TensorRT, onnx_model: bytes) -> None:
    with pytest.raises(
        EngineError, match=r"'\w+/(Gemm|MatMul)_\d+'.*Turing.*--backend tensorrt there, or .*onnxruntime"
    ) as caught:
        build_engine(rtx, onnx_model, PROFILE, BuildOptions(target="SM75"))
    assert caught.value.exit_code == 8
    assert "/_src/" not in str(caught.value)


def test_a_target_that_it_has_not_is_refused_with_those_it_has(rtx: TensorRT, onnx_model: bytes) -> None:
    with pytest.raises(InvalidInput, match="cannot build for SM90; it builds for SM75, SM80"):
        build_engine(rtx, onnx_model, PROFILE, BuildOptions(target="SM90"))


def test_an_unsupported_operator_is_named(rtx: TensorRT) -> None:
    with pytest.raises(EngineError, match=r"node 'the_node' \(Det\).*compile the model again, or .*onnxruntime"):
        build_engine(rtx, of_one_node("Det"), VECTOR, BuildOptions())


@pytest.mark.parametrize("data", [b"", b"not a model"])
def test_what_is_no_onnx_file_is_an_engine_fault(rtx: TensorRT, data: bytes) -> None:
    with pytest.raises(EngineError, match="cannot read the ONNX file"):
        build_engine(rtx, data, VECTOR, BuildOptions())


def test_a_file_that_was_cut_off_is_an_engine_fault(rtx: TensorRT, onnx_model: bytes) -> None:
    with pytest.raises(EngineError, match="cannot read the ONNX file"):
        build_engine(rtx, onnx_model[: len(onnx_model) // 2], PROFILE, BuildOptions())


def test_a_profile_for_other_inputs_is_refused(rtx: TensorRT, onnx_model: bytes) -> None:
    with pytest.raises(InvalidInput, match="'rows'"):
        build_engine(rtx, onnx_model, VECTOR, BuildOptions())


def test_the_types_of_the_file_are_the_types_of_the_engine(rtx: TensorRT) -> None:
    """A float16 file takes half the room: nothing is lowered or raised on the way."""
    sizes = []
    for kind in (np.float16, np.float32):
        model = onnx.load_from_string(of_one_node("Relu", helper.np_dtype_to_tensor_dtype(np.dtype(kind))))
        weights = np.random.default_rng(0).standard_normal((4, 200_000)).astype(kind)
        model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
        model.graph.node.append(helper.make_node("MatMul", ["y", "w"], ["z"], name="product"))
        shape = ["b", 4, 200_000]
        model.graph.output[0].CopyFrom(
            helper.make_tensor_value_info("z", helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
        )
        sizes.append(len(build_engine(rtx, model.SerializeToString(), VECTOR, BuildOptions(target="SM89"))))
    assert 0.4 < sizes[0] / sizes[1] < 0.6


def test_a_product_of_two_types_is_refused_with_its_node(rtx: TensorRT) -> None:
    model = onnx.load_from_string(of_one_node("Relu"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((4, 4), np.float16), "w"))
    model.graph.node.append(helper.make_node("MatMul", ["y", "w"], ["z"], name="product"))
    model.graph.output[0].name = "z"
    with pytest.raises(EngineError, match="product"):
        build_engine(rtx, model.SerializeToString(), VECTOR, BuildOptions())
