"""float16 and int8 graphs of a real detector, and which of them is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from edge_client.bundle.bundle import open_bundle
from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import RawScores
from edge_client.datasets import labelled_images, training_images
from edge_client.prove.certificate import Precision
from edge_client.prove.exhibit import ask
from edge_client.prove.fp16 import to_fp16
from edge_client.prove.int8 import Quantiser, Scheme
from edge_client.prove.layers import backbone, element_types, layers
from edge_client.prove.precision import Choice, Subject, choose
from edge_client.prove.sensitivity import map_error
from edge_client.prove.site_images import site_exhibit
from protos.errors import AccuracyError, ParityError


@pytest.fixture(scope="module")
def subject(compiled_bundle: Path, cells: Path) -> Subject:
    bundle, normal = open_bundle(compiled_bundle), training_images(cells).images
    exhibit = site_exhibit(normal[:10], normal[10:], labelled_images(cells), bundle.manifest.input.size)
    trained = ask(OnnxRuntimeRunner(bundle.model, bundle.bank).run, exhibit)
    return Subject(bundle.model, bundle.bank, exhibit, trained, "the float32 graph", 0.05)


@pytest.fixture(scope="module")
def pixels(subject: Subject) -> NDArray[np.uint8]:
    return subject.exhibit.pixels("training normal", 10)


def run(subject: Subject, graph: bytes, precision: Precision, pixels: NDArray[np.uint8]) -> RawScores:
    return OnnxRuntimeRunner(graph, subject.bank, precision=precision).run(pixels)


def chosen(subject: Subject, wanted: Precision) -> Choice:
    return choose(
        subject, wanted, lambda graph, precision: OnnxRuntimeRunner(graph, subject.bank, precision=precision),
        lambda *progress: None,
    )  # fmt: skip


def test_backbone_ends_before_features_are_normalised(subject: Subject) -> None:
    model = onnx.load_model_from_string(subject.graph)
    operators = [node.op_type for node in backbone(model)]
    assert "ReduceL2" not in operators
    assert operators.count("Conv") == len(layers(model)) == 33


def test_float16_is_the_backbone_and_nothing_else(subject: Subject, pixels: NDArray[np.uint8]) -> None:
    graph = to_fp16(subject.graph)
    assert len(graph) < 0.6 * len(subject.graph)
    model = onnx.load_model_from_string(graph)
    types = element_types(model)
    for node in model.graph.node:
        outputs = {types.get(name) for name in node.output}
        if node.op_type == "Conv":
            assert outputs == {TensorProto.FLOAT16}
        if node.name.startswith(("distance/", "score/", "generator/")):
            assert TensorProto.FLOAT16 not in outputs
    assert all(types[entry.name] == TensorProto.FLOAT for entry in (*model.graph.input, *model.graph.output))
    halved, whole = run(subject, graph, "fp16", pixels), run(subject, subject.graph, "fp32", pixels)
    assert 0 < np.abs(halved.image / whole.image - 1).max() < 0.01


def test_layers_in_float_stay_so_in_float16(subject: Subject) -> None:
    model = onnx.load_model_from_string(to_fp16(subject.graph, in_float={0, 1}))
    types = element_types(model)
    convolutions = [types[node.output[0]] for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions == [TensorProto.FLOAT] * 2 + [TensorProto.FLOAT16] * 31


@pytest.mark.parametrize("symmetric", [False, True])
def test_int8_is_the_layers_that_are_not_kept(subject: Subject, pixels: NDArray[np.uint8], symmetric: bool) -> None:
    quantiser = Quantiser(subject.graph, subject.bank, pixels[:4], Scheme(symmetric=symmetric))
    graph = quantiser.graph(in_float={0, 1})
    quantiser.close()
    model = onnx.load_model_from_string(graph)
    integers = {entry.name: entry for entry in model.graph.initializer if entry.data_type == TensorProto.INT8}
    assert sum(len(entry.dims) == 4 for entry in integers.values()) == 31
    biases = [entry for entry in model.graph.initializer if entry.data_type == TensorProto.INT32]
    assert bool(biases) is not symmetric
    found, whole = run(subject, graph, "int8", pixels[4:]), run(subject, subject.graph, "fp32", pixels[4:])
    assert 0 < map_error(whole.map, found.map) < 0.5


def test_int8_is_chosen_and_layers_that_hurt_are_kept_and_named(subject: Subject) -> None:
    found = chosen(subject, "int8")
    assert found.refused is None
    assert [one.precision for one in found.parity.certificates] == ["fp32", "int8"]
    assert (found.parity.precision, found.runner.precision) == ("int8", "int8")
    kept = found.parity.kept_in_float
    assert 2 <= len(kept) < 20
    assert "features/Conv_" in next(iter(kept))
    assert len(found.graph) < 0.6 * len(subject.graph)


def test_float16_is_chosen_where_it_passes(subject: Subject) -> None:
    found = chosen(subject, "fp16")
    assert found.refused is None
    assert found.parity.precision == "fp16"


@dataclass
class Spoilt:
    """A backend that computes one precision wrongly."""

    runner: OnnxRuntimeRunner
    spoilt: Precision

    def __getattr__(self, name: str) -> object:
        return getattr(self.runner, name)

    def run(self, pixels: NDArray[np.uint8]) -> RawScores:
        found = self.runner.run(pixels)
        return RawScores(1 / found.image, 1 / found.map) if self.runner.precision == self.spoilt else found


def spoilt_choice(subject: Subject, wanted: Precision, spoilt: Precision, loaded: list[str]) -> Choice:
    def load(graph: bytes, precision: Precision) -> Spoilt:
        loaded.append(precision)
        return Spoilt(OnnxRuntimeRunner(graph, subject.bank, precision=precision), spoilt)

    return choose(subject, wanted, load, lambda *progress: None)  # type: ignore[arg-type]


def test_precision_that_misses_its_gate_is_refused_and_float32_kept(subject: Subject) -> None:
    loaded: list[str] = []
    found = spoilt_choice(subject, "int8", "int8", loaded)
    assert isinstance(found.refused, AccuracyError)
    assert found.refused.exit_code == 6
    assert (found.parity.precision, found.runner.precision, found.graph) == ("fp32", "fp32", subject.graph)
    assert [one.passed for one in found.parity.certificates] == [True, False]
    assert loaded == ["fp32", "int8", "int8", "int8"]  # each time with more layers in float


def test_float32_that_misses_its_gate_leaves_nothing_to_run(subject: Subject) -> None:
    with pytest.raises(ParityError, match="fp32 on onnxruntime is not used"):
        spoilt_choice(subject, "fp16", "fp32", [])


def test_generator_of_a_site_may_change_after_quantisation(subject: Subject, pixels: NDArray[np.uint8]) -> None:
    width = subject.bank.rows.shape[1]
    weight = 0.05 * np.random.default_rng(0).normal(size=(width, width)).astype(np.float32)
    moved = replace(subject.bank, generator=(weight, np.zeros(width, np.float32)))
    answers: Sequence[RawScores] = [
        OnnxRuntimeRunner(graph, moved, precision=precision).run(pixels)
        for graph, precision in ((subject.graph, "fp32"), (chosen(subject, "int8").graph, "int8"))
    ]
    assert map_error(answers[0].map, answers[1].map) < 0.5
    assert not np.allclose(answers[0].map, run(subject, subject.graph, "fp32", pixels).map)


def test_graph_without_a_backbone_is_refused() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="graph/Relu_0")
    values = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:]))
    with pytest.raises(ValueError, match="no backbone"):
        to_fp16(model.SerializeToString())
