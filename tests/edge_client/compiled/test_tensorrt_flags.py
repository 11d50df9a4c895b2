"""Which flags a build asks TensorRT 10 and 11 for. What they answer is seen only on a device: see docs/tensorrt.md."""

from __future__ import annotations

import sys

import pytest

from edge_client.compiled.tensorrt import BuildOptions, Precision, build_engine
from edge_client.compiled.tensorrt_api import TensorRT, find_tensorrt
from edge_client.compiled.tensorrt_profile import detector_profile, fixed_profile
from protos.errors import BackendMissing, InvalidInput
from tests.edge_client.compiled.bindings import NETWORK_FLAGS, Asked, bindings

DLA = BuildOptions(precision="fp16", dla_core=1)


@pytest.fixture(params=[10, 11])
def api(request: pytest.FixtureRequest) -> tuple[int, TensorRT, Asked]:
    module, asked = bindings(request.param)
    return request.param, TensorRT("tensorrt", module), asked


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_file_alone_says_every_type_and_no_flag_lowers_one(
    api: tuple[int, TensorRT, Asked], onnx_model: bytes, precision: Precision
) -> None:
    number, trt, asked = api
    options = BuildOptions(precision=precision)
    assert build_engine(trt, onnx_model, detector_profile(8, 512), options) == b"plan"
    assert asked.network == 1 << NETWORK_FLAGS[number]["STRONGLY_TYPED"]
    assert asked.flags == set()  # not even TF32, which both have on by default
    assert asked.shapes["images"] == ((1, 3, 96, 96), (1, 3, 96, 96), (8, 3, 96, 96))
    assert asked.shapes["rows"] == ((1, 152), (1024, 152), (1024, 152))


def test_a_dla_core_takes_weak_typing_in_which_float_layers_stay_float(onnx_model: bytes) -> None:
    module, asked = bindings(10)
    build_engine(TensorRT("tensorrt", module), onnx_model, fixed_profile(512), DLA)
    assert asked.network == 0
    assert asked.flags == {"FP16", "OBEY_PRECISION_CONSTRAINTS", "GPU_FALLBACK"}
    assert (asked.config.DLA_core, asked.config.default_device_type) == (1, module.DeviceType.DLA)
    half, single = asked.layers
    assert (half.precision, half.held) == (None, {})
    assert (single.precision, single.held) == (module.DataType.FLOAT, {0: module.DataType.FLOAT})
    assert asked.shapes["rows"] == ((512, 152),) * 3


def test_int8_on_a_dla_core_allows_int8_alone_so_that_the_rest_stays_float(onnx_model: bytes) -> None:
    module, asked = bindings(10)
    options = BuildOptions(precision="int8", dla_core=0)
    build_engine(TensorRT("tensorrt", module), onnx_model, fixed_profile(512), options)
    assert asked.flags == {"INT8", "GPU_FALLBACK"}


@pytest.mark.parametrize(
    ("number", "options", "words"),
    [
        (10, BuildOptions(dla_core=2), "no DLA core 2"),
        (11, DLA, "takes types from the ONNX file alone"),
        (10, BuildOptions(target="SM89"), "this machine's own device alone"),
    ],
)
def test_what_a_tensorrt_does_not_have_is_refused(
    number: int, options: BuildOptions, words: str, onnx_model: bytes
) -> None:
    module, _ = bindings(number)
    with pytest.raises(InvalidInput, match=words):
        build_engine(TensorRT("tensorrt", module), onnx_model, detector_profile(8, 512), options)


def test_a_builder_without_a_device_is_a_missing_backend(onnx_model: bytes) -> None:
    module, _ = bindings(10)

    def no_device(log: object) -> object:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    module.Builder = no_device  # type: ignore[attr-defined]
    with pytest.raises(BackendMissing, match=r"tensorrt 10\.3\.0 finds no NVIDIA device"):
        build_engine(TensorRT("tensorrt", module), onnx_model, detector_profile(8, 512), BuildOptions())


def test_a_tensorrt_older_than_10_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module, _ = bindings(10)
    del module.NetworkDefinitionCreationFlag._member_map_["STRONGLY_TYPED"]
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    with pytest.raises(BackendMissing, match="10 is the oldest"):
        find_tensorrt("tensorrt")


def test_a_tensorrt_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendMissing, match=r"edgefed\[tensorrt\].*JetPack"):
        find_tensorrt("tensorrt")
