from __future__ import annotations

from dataclasses import fields, replace

import pytest

from edge_client.compiled.tensorrt import BuildOptions
from edge_client.compiled.tensorrt_api import TensorRT
from edge_client.compiled.tensorrt_profile import detector_profile
from edge_client.engines.device import Device, Gpu, Jetson
from edge_client.engines.key import EngineKey
from tests.edge_client.compiled.bindings import bindings

TRT = TensorRT("tensorrt", bindings(10)[0])
L4 = Device(os="ubuntu 22.04", arch="x86_64", gpu=Gpu(name="NVIDIA L4", compute_capability="8.9", driver="560.35.03"))
ORIN = Device(
    os="ubuntu 22.04",
    arch="aarch64",
    gpu=Gpu(name="NVIDIA Jetson AGX Orin Developer Kit", compute_capability="8.7", driver="540.4.0"),
    jetson=Jetson(l4t="36.4.3"),
)
KEY = EngineKey.of(b"model", TRT, L4, detector_profile(8, 512), BuildOptions())


def test_a_key_says_everything_an_engine_depends_on_in_words() -> None:
    assert replace(KEY, onnx_sha256="") == EngineKey(
        onnx_sha256="",
        runtime="tensorrt 10.3.0",
        gpu="NVIDIA L4",
        compute_capability="8.9",
        driver="560.35.03",
        os="ubuntu 22.04",
        arch="x86_64",
        l4t="",
        precision="fp32",
        profile="images 1 1 8, rows 1 1024 1024, scales 1 1024 1024",
        options="",
    )


@pytest.mark.parametrize("name", [field.name for field in fields(EngineKey)])
def test_any_other_field_is_another_engine_and_is_named(name: str) -> None:
    other = replace(KEY, **{name: "another"})
    assert other.sha256 != KEY.sha256
    (difference,) = KEY.differences(other)
    assert difference.startswith(f"{name}: ") and difference.endswith(" here, another there")


def test_no_two_fields_can_trade_their_values() -> None:
    assert replace(KEY, gpu="a", driver="b").sha256 != replace(KEY, gpu="b", driver="a").sha256


def test_a_bank_with_a_few_more_rows_needs_no_other_engine() -> None:
    assert EngineKey.of(b"model", TRT, L4, detector_profile(8, 900), BuildOptions()) == KEY
    larger = EngineKey.of(b"model", TRT, L4, detector_profile(8, 1025), BuildOptions())
    assert [difference.partition(":")[0] for difference in KEY.differences(larger)] == ["profile"]


def test_another_device_or_option_is_another_key() -> None:
    orin = EngineKey.of(b"model", TRT, ORIN, detector_profile(8, 512), BuildOptions(precision="fp16", dla_core=0))
    differing = {difference.partition(":")[0] for difference in KEY.differences(orin)}
    assert differing == {"gpu", "compute_capability", "driver", "arch", "l4t", "precision", "options"}
    assert orin.options == "dla_core 0"
    assert "l4t: none here, 36.4.3 there" in KEY.differences(orin)
