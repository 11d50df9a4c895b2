"""The exported graph is the detector, whatever the backbone, and the same bytes wherever it is made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from edge_client.compile.export import OPSET, OUTPUTS, export
from edge_client.inference import load_model
from models.backbones.registry import BACKBONES, weights_file
from models.features import PatchFeatures
from models.feddymem.graph import ScoringGraph
from models.feddymem.settings import Score

INPUTS = ("images", "rows", "scales", "generator_weight", "generator_bias")


def scores_of(model: bytes, graph: ScoringGraph, size: int, width: int, *, images: int, rows: int) -> tuple:
    """What ONNX Runtime and torch say of random images and a random bank."""
    generator = torch.Generator().manual_seed(images)
    pixels = torch.rand(images, 3, size, size, generator=generator) * 255
    bank = torch.nn.functional.normalize(torch.randn(rows, width, generator=generator), dim=1)
    scales = 0.8 + 0.4 * torch.rand(rows, generator=generator)
    weight, bias = (0.05 * torch.randn(*shape, generator=generator) for shape in ((width, width), (width,)))
    tensors = dict(zip(INPUTS, (pixels, bank, scales, weight, bias), strict=True))
    arguments = {name: tensor.numpy() for name, tensor in tensors.items()}
    found = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(OUTPUTS, arguments)
    with torch.inference_mode():
        return found, [tensor.numpy() for tensor in graph(**tensors)]


@pytest.mark.parametrize(("images", "rows"), [(1, 32), (8, 32), (3, 1), (3, 700)])
def test_the_graph_gives_the_scores_of_torch_for_any_batch_and_bank(
    judging_site: Path, onnx_model: bytes, images: int, rows: int
) -> None:
    graph = load_model(judging_site).detector.graph()
    found, expected = scores_of(onnx_model, graph, 96, 152, images=images, rows=rows)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_a_round_changes_is_an_input_and_scores_are_raw(onnx_model: bytes) -> None:
    model = onnx.load_from_string(onnx_model)
    assert [entry.name for entry in model.graph.input] == list(INPUTS)
    assert [entry.name for entry in model.graph.output] == list(OUTPUTS)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert {node.name.split("/")[0] for node in model.graph.node} == {
        "features", "generator", "distance", "score", "graph"
    }  # fmt: skip


def test_the_same_model_gives_the_same_bytes(judging_site: Path, onnx_model: bytes) -> None:
    assert export(load_model(judging_site).detector.graph(), 96) == onnx_model


def test_nothing_of_this_machine_is_in_the_file(onnx_model: bytes) -> None:
    here = Path(__file__).resolve()
    for trace in (str(Path.home()), str(here.parents[3]), sys.prefix, os.sep + "site-packages", "graph.py", 'File "'):
        assert trace.encode() not in onnx_model


def test_no_tensor_holds_a_difference_for_each_patch_row_and_feature(onnx_model: bytes) -> None:
    """Peers ask for hundreds of gigabytes here: patches less rows, feature by feature."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(onnx_model), data_prop=True)
    names = {name for node in inferred.graph.node if node.name.startswith("distance/") for name in node.output}
    ranks = [len(entry.type.tensor_type.shape.dim) for entry in inferred.graph.value_info if entry.name in names]
    assert ranks and max(ranks) <= 2


def test_a_job_without_generator_has_no_input_for_one() -> None:
    features = PatchFeatures("efficientnet_lite0", ("stride8",), weights_file("efficientnet_lite0", {}))
    graph = ScoringGraph(features, Score(cell_scale=True, self_normalise=False), generator=False).eval()
    model = onnx.load_from_string(export(graph, 64))
    assert [entry.name for entry in model.graph.input] == ["images", "rows", "scales"]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", sorted(BACKBONES.keys() - {"resnet50"}))  # wide_resnet50_2 is the same, wider
def test_every_backbone_is_exported(backbone: str, tmp_path: Path) -> None:
    """With random weights: it is the graph that is at test here, and published ones are not on every machine."""
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(BACKBONES[backbone].build().state_dict(), weights)
    features = PatchFeatures(backbone, ("stride8", "stride16"), weights)
    graph = ScoringGraph(features, Score(rule="top3%"), generator=True).eval()
    found, expected = scores_of(export(graph, 64), graph, 64, graph.width, images=2, rows=9)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
