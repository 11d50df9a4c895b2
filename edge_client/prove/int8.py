"""The backbone in 8-bit integers: post-training static quantisation, calibrated on a site's own normal images.

Letters: b images, s their side.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from edge_client.compiled.runner import Bank
from edge_client.prove.layers import layers

# What both ONNX Runtime and TensorRT compute in integers between convolutions; anything else would be converted to
# float and back around each node.
_OPERATORS = ("Conv", "Gemm", "MatMul", "Clip", "Relu", "Add", "MaxPool", "GlobalAveragePool")


@dataclass(frozen=True)
class Scheme:
    """How numbers become 8 bits. Weights are symmetric and of a scale per channel everywhere.

    Attributes:
        symmetric: activations are signed around 0, and biases stay float, as TensorRT wants it; else they are unsigned
            with a zero point, and biases 32-bit integers, for which CPUs have instructions.
    """

    symmetric: bool

    def options(self) -> dict[str, object]:
        """As ONNX Runtime's quantiser names them."""
        return {"ActivationSymmetric": self.symmetric, "QuantizeBias": not self.symmetric}


class Quantiser:
    """One graph with the ranges of its activations, from which int8 graphs with any layers kept in float are made.

    Args:
        data: the float32 graph.
        bank: a memory bank that fits it; the ranges do not depend on it.
        pixels: (b, s, s, 3) uint8, normal images of the site.
        scheme: of the backend that will run it.
    """

    def __init__(self, data: bytes, bank: Bank, pixels: NDArray[np.uint8], scheme: Scheme) -> None:
        model = onnx.load_model_from_string(data)
        self.layers = layers(model)
        self._scheme = scheme
        self._folder = tempfile.TemporaryDirectory(prefix="edgefed-int8-")
        self._reader = _Images(pixels, bank.inputs([entry.name for entry in model.graph.input]))
        # The exporter has folded what the quantiser's own preparation would fold.
        add_pre_process_metadata(model)
        self._source = Path(self._folder.name) / "fp32.onnx"
        onnx.save_model(model, self._source)

    def graph(self, *, in_float: Collection[int] = ()) -> bytes:
        """The int8 graph; `in_float` are the numbers of the layers that stay float32."""
        chosen = [name for number, layer in enumerate(self.layers) if number not in in_float for name in layer]
        if not chosen:
            raise ValueError("no layer is left to quantise")
        written = Path(self._folder.name) / "int8.onnx"
        ranges = Path(self._folder.name) / "ranges.json"
        with _quiet():
            quantize_static(
                self._source, written, None if ranges.exists() else self._reader, quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_OPERATORS), nodes_to_quantize=chosen, per_channel=True,
                activation_type=QuantType.QInt8 if self._scheme.symmetric else QuantType.QUInt8,
                weight_type=QuantType.QInt8, extra_options=self._scheme.options(), calibration_cache_path=ranges,
            )  # fmt: skip
        return written.read_bytes()

    def close(self) -> None:
        """Removes its folder."""
        self._folder.cleanup()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps out of the log what the quantiser tells the root logger: a line for each weight that it rescales."""
    root = logging.getLogger()
    root.addFilter(_is_warning)
    try:
        yield
    finally:
        root.removeFilter(_is_warning)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


class _Images(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Images one at a time: memory does not grow with their number."""

    def __init__(self, pixels: NDArray[np.uint8], inputs: Mapping[str, NDArray[np.float32]]) -> None:
        self._pixels = iter(pixels)
        self._inputs = inputs

    def get_next(self) -> Mapping[str, NDArray[np.float32]] | None:
        image = next(self._pixels, None)
        if image is None:
            return None
        return {"images": np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32), **self._inputs}
