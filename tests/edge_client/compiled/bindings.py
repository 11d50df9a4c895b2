"""Stand-ins for the bindings of TensorRT 10.3 and 11.4, which no package index lets this suite install.

They hold the two enumerations as the published bindings list them, and note what a build asks for. They say nothing of
what TensorRT would answer: only that the flags which are asked for are there, and which ones they are.
"""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx

NETWORK_FLAGS = {
    10: {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
    11: {"STRONGLY_TYPED": 0, "PREFER_JIT_PYTHON_PLUGINS": 1, "PREFER_AOT_PYTHON_PLUGINS": 2},
}
BUILDER_FLAGS = {
    10: {
        "FP16": 0, "INT8": 1, "DEBUG": 2, "GPU_FALLBACK": 3, "REFIT": 4, "DISABLE_TIMING_CACHE": 5, "TF32": 6,
        "SPARSE_WEIGHTS": 7, "SAFETY_SCOPE": 8, "OBEY_PRECISION_CONSTRAINTS": 9, "PREFER_PRECISION_CONSTRAINTS": 10,
        "DIRECT_IO": 11, "REJECT_EMPTY_ALGORITHMS": 12, "VERSION_COMPATIBLE": 13, "EXCLUDE_LEAN_RUNTIME": 14,
        "FP8": 15, "ERROR_ON_TIMING_CACHE_MISS": 16, "BF16": 17, "DISABLE_COMPILATION_CACHE": 18, "STRIP_PLAN": 19,
        "REFIT_IDENTICAL": 20, "WEIGHT_STREAMING": 21, "INT4": 22, "REFIT_INDIVIDUAL": 23,
    },
    11: {
        "DEBUG": 2, "GPU_FALLBACK": 3, "REFIT": 4, "DISABLE_TIMING_CACHE": 5, "TF32": 6, "SPARSE_WEIGHTS": 7,
        "SAFETY_SCOPE": 8, "DIRECT_IO": 11, "VERSION_COMPATIBLE": 12, "EXCLUDE_LEAN_RUNTIME": 13,
        "ERROR_ON_TIMING_CACHE_MISS": 15, "DISABLE_COMPILATION_CACHE": 17, "STRIP_PLAN": 18, "REFIT_IDENTICAL": 19,
        "WEIGHT_STREAMING": 20, "REFIT_INDIVIDUAL": 22, "STRICT_NANS": 23, "MONITOR_MEMORY": 24,
        "EDITABLE_TIMING_CACHE": 26, "DISTRIBUTIVE_INDEPENDENCE": 27,
    },
}  # fmt: skip
VERSIONS = {10: "10.3.0", 11: "11.4.0.106"}


class Asked(SimpleNamespace):
    """What builds have asked of one stand-in: the network's flags, the configuration, the shapes, the layers."""


def bindings(api: int) -> tuple[ModuleType, Asked]:
    """A stand-in for `tensorrt` of that API, and what is asked of it."""
    asked = Asked(network=None, flags={"TF32"}, config=None, shapes={}, layers=[])
    module = ModuleType("tensorrt")
    module.__version__ = VERSIONS[api]  # type: ignore[attr-defined]
    module.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", NETWORK_FLAGS[api])  # type: ignore[attr-defined]
    module.BuilderFlag = IntEnum("BuilderFlag", BUILDER_FLAGS[api])  # type: ignore[attr-defined]
    module.DataType = IntEnum("DataType", {"FLOAT": 0, "HALF": 1})  # type: ignore[attr-defined]
    module.DeviceType = IntEnum("DeviceType", {"GPU": 0, "DLA": 1})  # type: ignore[attr-defined]
    module.ILogger = type("ILogger", (), {"__init__": lambda self: None})  # type: ignore[attr-defined]
    module.Builder = lambda log: _builder(asked)  # type: ignore[attr-defined]
    module.OnnxParser = lambda network, log: _parser(network, module)  # type: ignore[attr-defined]
    return module, asked


def _builder(asked: Asked) -> Any:
    def create_network(flags: int) -> Any:
        asked.network = flags
        return SimpleNamespace(inputs=[], layers=asked.layers)

    def create_builder_config() -> Any:
        asked.config = SimpleNamespace(
            set_flag=lambda flag: asked.flags.add(flag.name),
            clear_flag=lambda flag: asked.flags.discard(flag.name),
            add_optimization_profile=lambda profile: None,
        )
        return asked.config

    return SimpleNamespace(
        create_network=create_network,
        create_builder_config=create_builder_config,
        create_optimization_profile=lambda: SimpleNamespace(
            set_shape=lambda name, *spans: asked.shapes.update({name: spans})
        ),
        build_serialized_network=lambda network, config: b"plan",
        num_DLA_cores=2,
    )


def _parser(network: Any, module: ModuleType) -> Any:
    def parse(data: bytes) -> bool:
        for entry in onnx.load_from_string(data).graph.input:
            shape = [axis.dim_value or -1 for axis in entry.type.tensor_type.shape.dim]
            network.inputs.append(SimpleNamespace(name=entry.name, shape=shape))
        network.num_inputs, network.get_input = len(network.inputs), network.inputs.__getitem__
        network.num_outputs = 2
        network.layers += [_layer(module.DataType.HALF), _layer(module.DataType.FLOAT)]
        network.num_layers, network.get_layer = len(network.layers), network.layers.__getitem__
        return True

    return SimpleNamespace(parse=parse)


def _layer(dtype: Any) -> Any:
    layer = SimpleNamespace(num_outputs=1, dtype=dtype, precision=None, held={})
    layer.get_output = lambda index: SimpleNamespace(dtype=dtype)
    layer.set_output_type = lambda index, kind: layer.held.update({index: kind})
    return layer
