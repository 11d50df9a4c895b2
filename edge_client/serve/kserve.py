"""The KServe v2 inference protocol ("Open Inference Protocol") as values: a request's tensors in, scores out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_client.compiled.backends import MOST_IMAGES
from edge_client.images import MAX_PIXELS
from edge_client.serve.verdict import Serving, Verdict
from protos.errors import InvalidInput

JSON_BYTES = 8 << 20  # numbers in JSON take fifty times their bytes in memory

Images = NDArray[np.uint8]


class _Parameters(BaseModel):
    binary_data_size: Annotated[int, Field(ge=0)] | None = None


class _Tensor(BaseModel):
    model_config = ConfigDict(strict=True)

    name: Literal["images"]
    shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=4, max_length=4)]
    datatype: Literal["UINT8"]
    parameters: _Parameters = _Parameters()
    data: list[Any] | None = None


class _Output(BaseModel):
    name: Literal["score", "anomaly", "map"]


class Request(BaseModel):
    """What a client sends; of other fields the protocol has many, and they change nothing here.

    Attributes:
        id: comes back with the answer.
        inputs: one tensor, images (b, h, w, 3) in red, green, blue.
        outputs: which are wanted; all where left out.
    """

    id: Annotated[str, Field(max_length=200)] | None = None
    inputs: Annotated[list[_Tensor], Field(min_length=1, max_length=1)]
    outputs: list[_Output] | None = None


def read_request(body: bytes, header_length: str | None) -> tuple[Request, Images]:
    """The request in a body and its images (b, h, w, 3) uint8.

    Args:
        body: JSON, and after it the raw bytes of the tensor where the client sends binary data.
        header_length: `Inference-Header-Content-Length`: how many bytes are JSON; None is all.

    Raises:
        InvalidInput: it is no such request, or shape and data contradict each other.
    """
    cut = len(body) if header_length is None else _length(header_length)
    if min(cut, len(body)) > JSON_BYTES:
        raise InvalidInput(f"the JSON has more than {JSON_BYTES >> 20} MiB; send the tensor as binary data")
    try:
        request = Request.model_validate_json(body[:cut])
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc'])) or 'the request'}: {first['msg']}") from error
    return request, _images(request.inputs[0], body[cut:])


def _length(header: str) -> int:
    if not (header.isascii() and header.isdigit() and len(header) <= 12):  # int() itself fails at thousands of digits
        raise InvalidInput("Inference-Header-Content-Length is not a number of bytes")
    return int(header)


def _images(tensor: _Tensor, binary: bytes) -> Images:
    count, height, width, channels = tensor.shape
    if channels != 3 or count > MOST_IMAGES or height * width > MAX_PIXELS:
        raise InvalidInput(
            f"images has the shape {tensor.shape}; it takes (images up to {MOST_IMAGES}, height, width, 3), "
            f"of at most {MAX_PIXELS // 1_000_000} million pixels each"
        )
    size = math.prod(tensor.shape)
    announced = tensor.parameters.binary_data_size
    flat = _numbers(tensor.data) if announced is None else np.frombuffer(binary, np.uint8)
    if flat.size != size or announced not in (None, size):
        raise InvalidInput(f"images of the shape {tensor.shape} has {size} values; {flat.size} came")
    return flat.reshape(tensor.shape)


def _numbers(data: list[Any] | None) -> Images:
    try:
        values = np.array(data)
    except ValueError as error:  # rows of different lengths
        raise InvalidInput("the data of images is not one regular array") from error
    if data is None or values.dtype.kind != "i" or values.min() < 0 or values.max() > 255:
        raise InvalidInput("the data of images is not whole numbers from 0 to 255")
    return values.astype(np.uint8).ravel()


def answer(request: Request, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What the client gets for its images, at least one."""
    first = verdicts[0]
    maps = np.stack([verdict.judgement.map for verdict in verdicts])
    scores: list[Any] = [verdict.judgement.score for verdict in verdicts]
    outputs = [_output("score", "FP32", [len(verdicts)], scores)]
    if first.calibration is not None:
        outputs.append(_output("anomaly", "BOOL", [len(verdicts)], [found.decision == "defect" for found in verdicts]))
    outputs.append(_output("map", "FP32", list(maps.shape), maps.ravel().tolist()))
    wanted = {output.name for output in request.outputs or ()} or {output["name"] for output in outputs}
    chosen = [output for output in outputs if output["name"] in wanted]
    named = {} if request.id is None else {"id": request.id}
    return {"model_name": first.job, "model_version": first.digest[:12], **named, "outputs": chosen}


def metadata(serving: Serving) -> dict[str, Any]:
    """What a model takes and gives; -1 is any number."""
    shapes = {"score": ("FP32", [-1]), "anomaly": ("BOOL", [-1]), "map": ("FP32", [-1, -1, -1])}
    if serving.calibration is None:
        del shapes["anomaly"]
    return {
        "name": serving.model.job,
        "versions": [serving.digest[:12]],
        "platform": f"edgefed_{serving.model.runner.backend}",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in shapes.items()],
    }


def _output(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}
