from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_client.compiled.tensorrt import BuildOptions, build_engine
from edge_client.compiled.tensorrt_api import TensorRT
from edge_client.compiled.tensorrt_profile import Span
from edge_client.engines.cache import Engine, EngineCache, Miss
from edge_client.engines.device import Device
from edge_client.engines.key import EngineKey
from protos.errors import StateError
from tests.edge_client.compiled.bindings import bindings

PROFILE = {"x": Span(1, 1, 8)}
OPTIONS = BuildOptions(target="SM89")
HERE = Device(os="ubuntu 22.04", arch="x86_64")


def model(seed: int) -> bytes:
    """A small network; another seed changes its weights and nothing else, no name and no shape."""
    weights = np.random.default_rng(seed).standard_normal((16, 16)).astype(np.float32)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 16]) for name in ("x", "y"))
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def key_of(trt: TensorRT, data: bytes) -> EngineKey:
    return EngineKey.of(data, trt, HERE, PROFILE, OPTIONS)


@pytest.fixture
def key() -> EngineKey:
    return key_of(TensorRT("tensorrt", bindings(10)[0]), model(1))


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def kept(cache: EngineCache, key: EngineKey, plan: bytes = b"plan") -> Path:
    cache.keep("cells", key, plan, build_seconds=1.5, golden=(1.0, 2.0))
    return cache.path("cells", key)


def test_two_models_of_one_name_and_shape_with_different_weights_get_different_engines(
    rtx: TensorRT, cache: EngineCache
) -> None:
    """Peers hash names and shapes: after a round that changed only weights they would run the old engine."""
    first, second = model(1), model(2)
    assert [node.output for node in onnx.load_from_string(first).graph.node] == [
        node.output for node in onnx.load_from_string(second).graph.node
    ]
    plans = {}
    for data in (first, second):
        key = key_of(rtx, data)
        assert isinstance(cache.find("cells", key), Miss)
        plans[data] = build_engine(rtx, data, PROFILE, OPTIONS)
        cache.keep("cells", key, plans[data], build_seconds=0.1, golden=(0.0,))
    assert plans[first] != plans[second]
    for data, plan in plans.items():
        found = cache.find("cells", key_of(rtx, data))
        assert isinstance(found, Engine) and found.plan == plan


def test_an_engine_is_found_by_a_later_process_with_its_record(
    cache: EngineCache, key: EngineKey, tmp_path: Path
) -> None:
    path = kept(cache, key)
    assert path.name == f"cells-{key.onnx_sha256[:12]}.fp32.{key.sha256[:12]}.engine"
    found = EngineCache(tmp_path / "engines").find("cells", key)
    assert isinstance(found, Engine)
    assert (found.plan, found.sidecar.build_seconds, found.sidecar.golden) == (b"plan", 1.5, (1.0, 2.0))
    record = json.loads(path.with_name(path.name + ".json").read_text())["engine"]
    assert record["key"]["runtime"] == key.runtime and record["key"]["onnx_sha256"] == key.onnx_sha256


def test_a_miss_says_in_which_field_the_nearest_engine_differs(cache: EngineCache, key: EngineKey) -> None:
    assert cache.find("cells", key) == Miss("there is no engine of cells yet")
    kept(cache, replace(key, driver="550.54", os="debian 12"))
    kept(cache, replace(key, driver="550.54"))
    found = cache.find("cells", replace(key, driver="560.35"))
    assert found == Miss("the nearest engine of cells differs in driver: 560.35 here, 550.54 there")


def test_an_engine_copied_from_another_machine_is_not_trusted(
    cache: EngineCache, key: EngineKey, tmp_path: Path
) -> None:
    """Same kind of machine, same key: only the seal tells them apart."""
    elsewhere = EngineCache(tmp_path / "elsewhere")
    for path in (kept(elsewhere, key), elsewhere.path("cells", key).with_suffix(".engine.json")):
        (tmp_path / "engines" / path.name).write_bytes(path.read_bytes())
    found = cache.find("cells", key)
    assert isinstance(found, Miss) and "not sealed on this machine" in found.reason


def test_an_engine_whose_bytes_were_changed_is_not_trusted(cache: EngineCache, key: EngineKey) -> None:
    kept(cache, key).write_bytes(b"plaM")
    found = cache.find("cells", key)
    assert isinstance(found, Miss) and "its bytes are not those that were built" in found.reason


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"engine": 3, "seal": 4}', '{"engine": {}, "seal": null}'])
def test_a_damaged_record_is_a_miss(cache: EngineCache, key: EngineKey, content: str) -> None:
    path = kept(cache, key)
    path.with_name(path.name + ".json").write_text(content)
    found = cache.find("cells", key)
    assert isinstance(found, Miss) and "not trusted" in found.reason


def test_a_record_that_was_edited_to_fit_is_a_miss(cache: EngineCache, key: EngineKey) -> None:
    path = kept(cache, key)
    record = path.with_name(path.name + ".json")
    record.write_text(record.read_text().replace('"build_seconds": 1.5', '"build_seconds": 0.5'))
    assert isinstance(cache.find("cells", key), Miss)


def test_an_engine_under_the_name_of_another_is_a_miss(cache: EngineCache, key: EngineKey) -> None:
    source, other = kept(cache, replace(key, driver="550.54")), cache.path("cells", key)
    for suffix in ("", ".json"):
        source.with_name(source.name + suffix).rename(other.with_name(other.name + suffix))
    found = cache.find("cells", key)
    assert isinstance(found, Miss) and "is of something else: driver: none here, 550.54 there" in found.reason


def test_an_engine_without_its_record_does_not_count(cache: EngineCache, key: EngineKey) -> None:
    """As a power cut between the two files leaves it."""
    path = kept(cache, key)
    path.with_name(path.name + ".json").unlink()
    assert isinstance(cache.find("cells", key), Miss)
    kept(cache, key, b"anew")
    found = cache.find("cells", key)
    assert isinstance(found, Engine) and found.plan == b"anew"


def test_those_go_first_that_were_not_used_for_longest(key: EngineKey, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines", max_bytes=30)
    keys = [replace(key, driver=str(number)) for number in range(4)]
    for age, each in enumerate(keys[:3]):
        os.utime(kept(cache, each, bytes(10)), (age, age))
    cache.find("cells", keys[0])
    kept(cache, keys[3], bytes(10))
    assert [isinstance(cache.find("cells", each), Engine) for each in keys] == [True, False, True, True]
    assert len(list((tmp_path / "engines").glob("*.json"))) == 3


def test_an_engine_larger_than_the_bound_is_kept_alone(key: EngineKey, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines", max_bytes=5)
    kept(cache, replace(key, driver="old"), bytes(4))
    kept(cache, key, bytes(10))
    assert isinstance(cache.find("cells", key), Engine)
    assert isinstance(cache.find("cells", replace(key, driver="old")), Miss)


def test_a_folder_that_cannot_be_read_is_told(cache: EngineCache, key: EngineKey) -> None:
    path = kept(cache, key)
    path.unlink()
    path.mkdir()
    with pytest.raises(StateError, match="Is a directory"):
        cache.find("cells", key)


def test_the_secret_is_its_owners_alone(cache: EngineCache, tmp_path: Path) -> None:
    secret = tmp_path / "engines" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) == 32
