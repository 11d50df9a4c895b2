"""ONNX of the task networks: any number of cubes, and the numbers of torch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from edge_client.compile.network import export_network, write_network
from models.hypersigma.attention import SparseSamplingAttention
from models.hypersigma.initialise import fresh
from models.hypersigma.networks import Plan, outline, plan

PLANS = [
    plan("classification", "small", bands=12, image=9),
    plan("segmentation", "small", bands=12, image=17, patch=4),
    plan("anomaly", "small", bands=12, image=6),
    pytest.param(plan("target", "small", bands=12, image=6), marks=pytest.mark.slow),
    pytest.param(plan("change", "small", bands=12, image=5), marks=pytest.mark.slow),
    pytest.param(plan("unmixing", "small", bands=12, image=9), marks=pytest.mark.slow),
    pytest.param(plan("denoising", "small", bands=12, image=8), marks=pytest.mark.slow),
    pytest.param(plan("super-resolution", "small", bands=12, image=6), marks=pytest.mark.slow),
    pytest.param(plan("multispectral-change", "small", image=32, patch=4), marks=pytest.mark.slow),
]


def inputs(plan: Plan, batch: int) -> tuple[Tensor, ...]:
    window, generator = plan.window, torch.Generator().manual_seed(batch)
    cube = torch.randn(batch, window.bands, window.height, window.width, generator=generator)
    if plan.task == "target":
        return cube, torch.randn(batch, window.bands, generator=generator)
    return (cube, -cube) if "change" in plan.task else (cube,)


@pytest.mark.parametrize("chosen", PLANS, ids=lambda chosen: chosen.task)
def test_exported_network_gives_the_numbers_of_torch_for_any_number_of_cubes(chosen: Plan) -> None:
    network = fresh(chosen, seed=0).eval()
    for part in network.modules():
        if isinstance(part, SparseSamplingAttention):
            torch.nn.init.normal_(part.sampling_offsets.weight, std=0.1)  # places everywhere, also outside
    graph = export_network(network, inputs(chosen, 1))
    nodes = Counter(node.op_type for node in onnx.load_from_string(graph).graph.node)
    passes = 2 if "change" in chosen.task else 1  # both dates go through the same encoders
    sampling = sum(isinstance(part, SparseSamplingAttention) for part in network.modules())
    assert nodes["GridSample"] == passes * sampling
    assert nodes["ScatterElements"] == 0
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for batch in (1, 2, 5):
        cubes = inputs(chosen, batch)
        with torch.no_grad():
            expected = network(*cubes)
        feeds = {entry.name: cube.numpy() for entry, cube in zip(session.get_inputs(), cubes, strict=True)}
        found = session.run(None, feeds)
        for one, other in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
            assert np.abs(one - other.numpy()).max() <= 1e-4 * other.abs().max()


def test_a_network_that_one_file_cannot_hold_is_refused_before_anything_is_made() -> None:
    with pytest.raises(ValueError, match=r"has 5\.\d GB of weights, and the bytes of an ONNX file hold at most 2 GB"):
        export_network(outline(plan("anomaly", "huge")), (torch.zeros(1, 102, 32, 32),))


def test_weights_that_one_file_cannot_hold_lie_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_client.compile.network._MOST_BYTES", 0)
    chosen = plan("classification", "small", bands=3, image=4, patch=1, number=2)
    network = fresh(chosen, seed=0).eval()
    path, weights = write_network(network, inputs(chosen, 1), tmp_path / "network.onnx")
    size = sum(4 * parameter.numel() for parameter in network.parameters())
    assert path.stat().st_size < size / 4
    assert weights.stat().st_size > size / 2
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [cubes] = inputs(chosen, 3)
    with torch.no_grad():
        expected = network(cubes).numpy()
    [found] = session.run(None, {session.get_inputs()[0].name: cubes.numpy()})
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_export_leaves_the_network_as_it_was() -> None:
    network = fresh(plan("anomaly", "small", bands=3, image=4), seed=0).eval()
    before = [part.sampling for part in network.modules() if isinstance(part, SparseSamplingAttention)]
    assert before == ["table"] * 4
    export_network(network, (torch.zeros(1, 3, 4, 4),))
    assert [part.sampling for part in network.modules() if isinstance(part, SparseSamplingAttention)] == before
