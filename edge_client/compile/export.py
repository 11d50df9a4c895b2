"""A detector's graph as ONNX: the same bytes for the same model, and nothing of this machine in them."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch.export import Dim

from models.feddymem.graph import ScoringGraph

OPSET = 18  # what TensorRT 10 and 11 both read; GridSample and Gelu of later ones are not needed
OUTPUTS = ("scores", "maps")

_SCOPES = "pkg.torch.onnx.name_scopes"
# Any will do: batch and rows stay open. Not 1, which the exporter would take for a constant.
_BATCH, _ROWS = 2, 8
_MOST_IMAGES = 64


def export(graph: ScoringGraph, size: int) -> bytes:
    """The bytes of `model.onnx`, with any number of images and of rows.

    Nodes are named after the part they belong to, as in "features/Conv_3" or "distance/ReduceMin_115", so that a
    precision can be chosen for a part.

    Args:
        graph: of the detector.
        size: s, side of an image in pixels.

    Raises:
        onnx.checker.ValidationError: the exporter made a graph that is none.
    """
    rows, width = Dim("rows"), graph.width
    inputs = {
        "images": (torch.zeros(_BATCH, 3, size, size), {0: Dim("batch", min=1, max=_MOST_IMAGES)}),
        "rows": (torch.zeros(_ROWS, width), {0: rows}),
        "scales": (torch.ones(_ROWS), {0: rows}),
    }
    if graph.generator is not None:
        inputs |= {"generator_weight": (torch.zeros(width, width), {}), "generator_bias": (torch.zeros(width), {})}
    arguments, shapes = (dict(zip(inputs, part, strict=True)) for part in zip(*inputs.values(), strict=True))
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph, tuple(arguments.values()), dynamo=True, opset_version=OPSET, dynamic_shapes=shapes,
            input_names=tuple(inputs), output_names=OUTPUTS, external_data=False, verbose=False,
        )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model: onnx.ModelProto = program.model_proto
    _name_nodes(model.graph.node)
    _forget_origin(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _name_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    """Puts the part of `ScoringGraph` before each node's name; what belongs to none is of the "graph"."""
    for number, node in enumerate(nodes):
        scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "[]")
        parts = ast.literal_eval(scopes)
        # The first scope is the whole, the last the operation itself.
        part = parts[1] if len(parts) > 2 else "graph"
        node.name = f"{part}/{node.op_type}_{number}"


def _forget_origin(model: onnx.ModelProto) -> None:
    """Removes what the exporter leaves for its developers: source paths, stack traces, its own names of things."""
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    graph: Any = model.graph
    graph.ClearField("metadata_props")
    # Names of dimensions in between are drawn by the exporter; every reader can infer the shapes again.
    graph.ClearField("value_info")
    for entry in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        entry.ClearField("metadata_props")
        entry.ClearField("doc_string")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter from talking of packages that are not needed and of its own deprecated calls."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(before)
