"""The backbone in float16, weights and activations; everything else of the graph stays float32."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_client.prove.layers import backbone, element_types, layers

# ONNX Runtime's converter takes every input through float16 and back, the memory bank's rows with them.


def to_fp16(data: bytes, *, in_float: Collection[int] = ()) -> bytes:
    """A typed graph: casts stand where float16 begins and ends, so every backend computes what is written.

    Inputs and outputs stay float32. A weight beyond float16's range becomes infinite, which the parity gates see.

    Args:
        data: the float32 graph.
        in_float: numbers of the layers that stay float32.

    Raises:
        ValueError: see `backbone`.
    """
    model = onnx.load_model_from_string(data)
    conversion = _Conversion(model, in_float)
    nodes = []
    for node in model.graph.node:
        nodes += [*conversion.casts_for(node), node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [entry for entry in (*model.graph.initializer, *conversion.weights.values()) if entry.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


class _Conversion:
    """Where each value of the graph is float16, and under which name."""

    def __init__(self, model: onnx.ModelProto, in_float: Collection[int]) -> None:
        self._types = element_types(model)
        self._initializers = {entry.name: entry for entry in model.graph.initializer}
        kept = {name for number, layer in enumerate(layers(model)) if number in in_float for name in layer}
        inside = [node for node in backbone(model) if node.name not in kept]
        self._inside = {node.name for node in inside}
        self._half = {output for node in inside for output in node.output}
        self._cast: set[str] = set()
        self.weights: dict[str, onnx.TensorProto] = {}

    def casts_for(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Renames the node's inputs to those of its precision; returns the casts that have to come before it."""
        inside = node.name in self._inside
        casts = []
        for number, name in enumerate(node.input):
            # Sizes and scales of a Resize are no data; its scales are float32 whatever its data is.
            if self._types.get(name) != TensorProto.FLOAT or (node.op_type == "Resize" and number > 0):
                continue
            if (name in self._half) == inside:
                continue
            kind, to = (TensorProto.FLOAT16, "fp16") if inside else (TensorProto.FLOAT, "fp32")
            changed = f"{name}.{to}"
            if name in self._initializers:
                self._halve(name, changed)
            elif changed not in self._cast:
                casts.append(helper.make_node("Cast", [name], [changed], name=f"features/Cast_{changed}", to=kind))
                self._cast.add(changed)
            node.input[number] = changed
        return casts

    def _halve(self, name: str, changed: str) -> None:
        if changed not in self.weights:
            with np.errstate(over="ignore"):
                halved = numpy_helper.to_array(self._initializers[name]).astype(np.float16)
            self.weights[changed] = numpy_helper.from_array(halved, changed)
