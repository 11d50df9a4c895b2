"""Which nodes of a compiled graph are the backbone, whose precision may be lowered, and which are not.

Lowered is what lies between the pixels and the features: convolutions and what is between them. Normalising to length
1, the generator, distances and scores stay float32: sums of squares overflow float16, and distances cancel.
"""

from __future__ import annotations

import onnx

_PART = "features/"
_NORM = "ReduceL2"
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})


def backbone(model: onnx.ModelProto) -> tuple[onnx.NodeProto, ...]:
    """The nodes of floats before the features are normalised, in the graph's order.

    Raises:
        ValueError: the graph is not one that `edge_client.compile.export` made.
    """
    nodes, types = model.graph.node, element_types(model)
    producers = {output: node for node in nodes for output in node.output}
    waiting = [node.input[0] for node in nodes if node.op_type == _NORM and node.name.startswith(_PART)]
    if not waiting:
        raise ValueError("the graph has no backbone that ends in features of length 1")
    found: set[str] = set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in found or types.get(node.output[0]) != onnx.TensorProto.FLOAT:
            continue
        found.add(node.name)
        waiting += node.input
    return tuple(node for node in nodes if node.name in found)


def layers(model: onnx.ModelProto) -> tuple[tuple[str, ...], ...]:
    """The backbone's nodes as layers, first to last: a node with weights, and what follows up to the next such node."""
    found: list[list[str]] = []
    for node in backbone(model):
        if node.op_type in _WEIGHTED:
            found.append([node.name])
        elif found:  # what comes before the first weights is the normalising of pixels
            found[-1].append(node.name)
    return tuple(tuple(layer) for layer in found)


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Of each value of the graph the type of its elements, as in `onnx.TensorProto`."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    return types | {entry.name: entry.data_type for entry in graph.initializer}
