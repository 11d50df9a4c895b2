"""Any network as ONNX: cubes of one fixed height and width, any number of them."""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from edge_client.compile.export import OPSET, forget_origin, quiet
from models.hypersigma.attention import sampling_by

_MOST_CUBES = 1024
_MOST_BYTES = 2**31 - 2**24  # of a protobuf, less what the graph itself takes


def export_network(network: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    """The bytes of an ONNX file; inputs and outputs are named as the exporter finds them, in the network's order.

    Sampling attention becomes GridSample, which every engine has; the form that torch runs adds into a table, which
    TensorRT cannot.

    Args:
        network: in evaluation mode.
        inputs: an example, with one cube or more; all dimensions but the first become fixed.

    Raises:
        ValueError: the network has more weights than one file can hold.
        onnx.checker.ValidationError: the exporter made a graph that is none.
    """
    size = sum(parameter.numel() * parameter.itemsize for parameter in network.parameters())
    if size > _MOST_BYTES:
        raise ValueError(f"the network has {size / 1e9:.1f} GB of weights, and an ONNX file holds at most 2 GB")
    # One is taken for a constant by the exporter.
    examples = tuple(torch.cat([part[:1], part[:1]]) for part in inputs)
    batch = Dim("batch", min=1, max=_MOST_CUBES)
    shapes = tuple({0: batch} for _ in examples)
    with quiet(), torch.no_grad(), sampling_by(network, "grid"):
        program = torch.onnx.export(
            network, examples, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes, external_data=False,
            verbose=False,
        )  # fmt: skip
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model: onnx.ModelProto = program.model_proto
    forget_origin(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
