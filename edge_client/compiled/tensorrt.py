"""Building an engine from an ONNX file, the same call for TensorRT 10, 11 and RTX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edge_client.compiled.tensorrt_api import TensorRT, reason
from edge_client.compiled.tensorrt_profile import Profile
from protos.errors import BackendMissing, EngineError, InvalidInput

Precision = Literal["fp32", "fp16", "int8"]

_BACK_OUT = "or run the model with --backend onnxruntime"


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What an engine is built for.

    Attributes:
        precision: of the ONNX file's backbone; TensorRT is never asked to lower one by itself.
        target: a compute capability as "SM89" to build for without its device; None is this machine's device.
        dla_core: of a Jetson, that takes the layers it can; the GPU takes the others.
    """

    precision: Precision = "fp32"
    target: str | None = None
    dla_core: int | None = None


def build_engine(trt: TensorRT, onnx: bytes, profile: Profile, options: BuildOptions) -> bytes:
    """The serialised engine ("plan") of an ONNX file.

    Args:
        trt: which TensorRT.
        onnx: the file's bytes, weights inside.
        profile: spans of all inputs.
        options: what it is built for.

    Raises:
        InvalidInput: an option that this TensorRT does not have, or a profile that does not fit the file.
        BackendMissing: TensorRT finds no device, and no target was named.
        EngineError: the file cannot be read or built; the message names the node.
    """
    trt.log.take_errors()
    builder = _builder(trt)
    weak = options.dla_core is not None  # a DLA cannot run a strongly typed network
    strong = 1 << int(trt.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(0 if weak else strong)
    _parse(trt, network, onnx)
    config = builder.create_builder_config()
    config.clear_flag(trt.module.BuilderFlag.TF32)  # on by default; ten bits are no float32, and distances cancel
    config.add_optimization_profile(_shapes(builder, network, profile))
    if weak:
        _allow_precision(trt, config, network, options.precision)
    _set_device(trt, builder, config, options)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _not_built(trt, options, trt.log.take_errors())
    return bytes(plan)


def _builder(trt: TensorRT) -> Any:
    try:
        return trt.module.Builder(trt.log)
    except TypeError as error:  # what the bindings make of a library that returns nothing
        told = reason(trt.log.take_errors())
        raise BackendMissing(f"{trt} finds no NVIDIA device here ({told}); `edgefed doctor` says what is") from error


def _parse(trt: TensorRT, network: Any, onnx: bytes) -> None:
    parser = trt.module.OnnxParser(network, trt.log)
    if parser.parse(onnx) and network.num_outputs:
        return
    told = "nothing is in it"  # an empty file is no error to the parser
    if parser.num_errors:
        error = parser.get_error(0)
        where = f"node {error.node_name()!r} ({error.node_operator()}): " if error.node_name() else ""
        told = f"{where}{error.desc().strip()}"
    raise EngineError(f"{trt} cannot read the ONNX file: {told}; compile the model again, {_BACK_OUT}")


def _shapes(builder: Any, network: Any, profile: Profile) -> Any:
    shapes = builder.create_optimization_profile()
    whole = {tensor.name: tuple(tensor.shape) for tensor in map(network.get_input, range(network.num_inputs))}
    inputs = {name: shape for name, shape in whole.items() if min(shape) < 1}  # the others are what they are
    if inputs.keys() != profile.keys():
        raise InvalidInput(f"the graph has the inputs {sorted(inputs)} and the profile is for {sorted(profile)}")
    for name, (_, *fixed) in inputs.items():
        if min(fixed, default=1) < 1:
            raise InvalidInput(f"the input {name!r} leaves more open than its first axis; fix the others at export")
        span = profile[name]
        shapes.set_shape(name, *((length, *fixed) for length in (span.least, span.usual, span.most)))
    return shapes


def _allow_precision(trt: TensorRT, config: Any, network: Any, precision: Precision) -> None:
    """Weak typing, which a DLA needs: TensorRT chooses types itself among those that a flag allows."""
    module = trt.module
    if precision == "fp32":
        return
    flag = {"fp16": "FP16", "int8": "INT8"}[precision]
    if flag not in trt.precision_flags:
        raise InvalidInput(f"{trt} takes types from the ONNX file alone, which a DLA core cannot run; leave it out")
    config.set_flag(getattr(module.BuilderFlag, flag))
    if precision == "fp16":  # with INT8 alone, what Q/DQ nodes do not enclose stays float32 without being told
        config.set_flag(module.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
        for layer in map(network.get_layer, range(network.num_layers)):
            _hold_float(module, layer)


def _hold_float(module: Any, layer: Any) -> None:
    """Keeps a layer float32 that is float32 in the typed ONNX file: distances cancel in fewer digits."""
    outputs = range(layer.num_outputs)
    if outputs and all(layer.get_output(index).dtype == module.DataType.FLOAT for index in outputs):
        layer.precision = module.DataType.FLOAT
        for index in outputs:
            layer.set_output_type(index, module.DataType.FLOAT)


def _set_device(trt: TensorRT, builder: Any, config: Any, options: BuildOptions) -> None:
    if options.target is not None:
        if options.target not in trt.targets:
            known = ", ".join(trt.targets) or "this machine's own device alone"
            raise InvalidInput(f"{trt} cannot build for {options.target}; it builds for {known}")
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.module.ComputeCapability, options.target), 0)
    if options.dla_core is not None:
        if options.dla_core >= builder.num_DLA_cores:
            raise InvalidInput(f"there is no DLA core {options.dla_core} here; {trt} sees {builder.num_DLA_cores}")
        config.default_device_type = trt.module.DeviceType.DLA
        config.DLA_core = options.dla_core
        config.set_flag(trt.module.BuilderFlag.GPU_FALLBACK)


def _not_built(trt: TensorRT, options: BuildOptions, errors: list[str]) -> EngineError:
    told = reason(errors)
    where = f" for {options.target}" if options.target else ""
    hint = "Turing has no float32 matrix product in it: use --backend tensorrt there, " if "Turing" in told else ""
    return EngineError(f"{trt} cannot build {options.precision}{where}: {told}; {hint}{_BACK_OUT}")
