"""Any network as ONNX: cubes of one fixed height and width, any number of them."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.onnx import ONNXProgram

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
    if (size := _weight_bytes(network)) > _MOST_BYTES:
        raise ValueError(
            f"the network has {size / 1e9:.1f} GB of weights, and the bytes of an ONNX file hold at most 2 GB: "
            "write it with write_network, which puts them beside the file"
        )
    model: onnx.ModelProto = _program(network, inputs).model_proto
    forget_origin(model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def write_network(network: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> tuple[Path, ...]:
    """Writes an ONNX file; what one file cannot hold of the weights lies beside it, under its name and ".data".

    Arguments as of `export_network`.

    Returns:
        The files; they belong into one folder.

    Raises:
        onnx.checker.ValidationError: the exporter made a graph that is none.
    """
    if _weight_bytes(network) <= _MOST_BYTES:
        path.write_bytes(export_network(network, inputs))
        return (path,)
    _program(network, inputs).save(path, external_data=True)
    model = onnx.load(path, load_external_data=False)
    forget_origin(model)
    onnx.save(model, path)
    onnx.checker.check_model(path, full_check=True)
    return path, path.with_name(path.name + ".data")


def _weight_bytes(network: nn.Module) -> int:
    return sum(parameter.numel() * parameter.itemsize for parameter in network.parameters())


def _program(network: nn.Module, inputs: tuple[Tensor, ...]) -> ONNXProgram:
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
    return program
