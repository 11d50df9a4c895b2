"""`edgefed client compile`, and what `infer` and `evaluate` make of it, as a person types them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protos.tensors import read_tensors, write_tensors

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]
Spoil = Callable[[Path], object]

# Stands before every other import: as on a machine where nothing is installed that only training needs.
NO_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from edgefed.cli import main
main()
"""


@pytest.fixture
def own_site(compiled_site: Path, tmp_path: Path) -> Path:
    """A compiled site that a test may change."""
    return Path(shutil.copytree(compiled_site, tmp_path / "own-site"))


def model_of(site: Path) -> Path:
    return site / "models" / "cells"


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", NO_TORCH, "client", *map(str, arguments)]
    environment = {**os.environ, "EDGEFED_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_new_memory_is_compiled_without_a_new_export(edgefed: Edgefed, own_site: Path) -> None:
    """A later round leaves another memory, generator and threshold, and all else as it was."""
    model = model_of(own_site)
    shutil.rmtree(model / "compiled")
    memory, local = (read_tensors(model / f"{name}.safetensors") for name in ("global", "local"))
    write_tensors(model / "global.safetensors", {name: array[::-1][:20] for name, array in memory.items()})
    write_tensors(model / "local.safetensors", {**local, "generator.bias": local["generator.bias"] + np.float32(0.01)})
    done = edgefed("compile", "--state", own_site, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    seconds = document["seconds"]
    assert (document["job"], document["backend"], document["device"]) == (
        "cells",
        "onnxruntime",
        "CPUExecutionProvider",
    )
    assert not seconds["exported"] and seconds["export"] < 1
    assert seconds["swap"] < seconds["load"] / 5
    assert all(gate["passed"] for gate in document["parity"]["certificates"][0]["gates"])
    assert json.loads((model / "compiled" / "manifest.json").read_text())["memory"]["rows"] == 20


def test_a_kept_graph_that_was_damaged_is_made_anew(edgefed: Edgefed, own_site: Path, onnx_model: bytes) -> None:
    (graph,) = (own_site / "graphs").iterdir()
    graph.write_bytes(onnx_model[:-1])
    done = edgefed("compile", "--state", own_site)
    assert done.returncode == 0, done.stderr
    assert "exported in" in done.stdout and "fp32 on onnxruntime" in done.stdout
    assert (model_of(own_site) / "compiled" / "model.onnx").read_bytes() == onnx_model


def test_infer_takes_the_compiled_model_and_says_so(edgefed: Edgefed, compiled_site: Path, cells: Path) -> None:
    done = edgefed("infer", cells / "test", "--state", compiled_site)
    assert done.returncode == 0
    assert done.stderr.startswith("edgefed: the compiled model, fp32 on onnxruntime, CPUExecutionProvider, judges\n")
    assert len(done.stdout.splitlines()) == 12


def test_a_rate_is_kept_beside_the_model_and_not_in_its_bundle(edgefed: Edgefed, own_site: Path, cells: Path) -> None:
    image = sorted((cells / "test" / "good").iterdir())[0]
    first, moved, again = (
        json.loads(edgefed("infer", image, "--state", own_site, *more).stdout)
        for more in ((), ("--false-reject-rate", 0.5), ())
    )
    assert moved["threshold"] == again["threshold"] < first["threshold"]
    assert moved["score"] == first["score"]


def test_a_bundle_runs_without_torch_and_without_a_site(
    compiled_bundle: Path, cells: Path, tmp_path: Path, judging_site: Path
) -> None:
    arguments = ("--bundle", compiled_bundle, "--state", tmp_path / "nowhere")
    judged = without_torch("infer", cells / "test", *arguments, "--heatmaps", tmp_path / "maps")
    assert judged.returncode == 0, judged.stderr
    assert len(list((tmp_path / "maps").iterdir())) == 12
    measured = without_torch("evaluate", "--data", cells, *arguments, "--json")
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)["image_auroc"] > 0.9
    for words in (("infer", cells / "test"), ("compile",)):
        told(without_torch(*words, "--state", judging_site), 2, "pip install 'edgefed[train]'")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("compile", "--state", "EMPTY"), 2, "is not the state folder of a site"),
        (("compile", "--state", "SITE", "--job", "other"), 2, "there is no model of 'other'"),
        (("compile", "--state", "SITE", "--backend", "tensorrt"), 4, "tensorrt cannot be loaded"),
        (("infer", "CELLS", "--bundle", "EMPTY"), 7, "lacks MODEL_CARD.md, SHA256SUMS, calibration.json"),
        (("infer", "CELLS", "--bundle", "EMPTY", "--job", "cells"), 2, "leave one of them out"),
        (("infer", "CELLS", "--bundle", "CELLS"), 2, "belongs to no bundle"),
    ],
)
def test_misuse_is_one_line_and_an_exit_code(
    edgefed: Edgefed,
    arguments: tuple[str, ...],
    code: int,
    words: str,
    compiled_site: Path,
    cells: Path,
    tmp_path: Path,
) -> None:
    if "tensorrt" in arguments and find_spec("tensorrt"):
        pytest.skip("TensorRT is on this machine, and refuses for another reason")
    places = {"SITE": compiled_site, "CELLS": cells, "EMPTY": tmp_path}
    told(edgefed(*(places.get(argument, argument) for argument in arguments)), code, words)


def other_method(site: Path) -> None:
    spec = {"name": "cells", "method": "fedavg", "settings": {}}
    (model_of(site) / "spec.json").write_text(json.dumps(spec))


def gone_images(site: Path) -> None:
    path = site / "site.toml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("images")))


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (other_method, 2, "used the method fedavg, whose models judge no images"),
        (gone_images, 2, "a compiled model is proven on the site's own images"),
        (lambda site: (model_of(site) / "global.safetensors").write_bytes(b"x"), 10, "cannot be used"),
    ],
)
def test_a_model_that_cannot_be_compiled_says_why_and_leaves_the_bundle(
    edgefed: Edgefed, own_site: Path, spoil: Spoil, code: int, words: str
) -> None:
    spoil(own_site)
    before = (model_of(own_site) / "compiled" / "SHA256SUMS").read_bytes()
    told(edgefed("compile", "--state", own_site), code, words)
    assert (model_of(own_site) / "compiled" / "SHA256SUMS").read_bytes() == before


def test_a_graph_that_decides_otherwise_is_not_packed(edgefed: Edgefed, own_site: Path) -> None:
    """As an exporter with a fault would leave it: sound, finite, and a little wrong."""
    (path,) = (own_site / "graphs").iterdir()
    model = onnx.load_from_string(path.read_bytes())
    weight = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.05), weight.name))
    wrong = model.SerializeToString()
    path.unlink()
    key = path.stem.partition("-")[0]
    (own_site / "graphs" / f"{key}-{hashlib.sha256(wrong).hexdigest()}.onnx").write_bytes(wrong)
    before = (model_of(own_site) / "compiled" / "SHA256SUMS").read_bytes()
    told(edgefed("compile", "--state", own_site), 5, "fp32 on onnxruntime is not used: ")
    assert (model_of(own_site) / "compiled" / "SHA256SUMS").read_bytes() == before


def resummed_graph(site: Path) -> None:
    from edge_client.bundle.files import read_files
    from edge_client.bundle.writing import write_bundle

    folder = model_of(site) / "compiled"
    files = read_files(folder)
    del files["SHA256SUMS"]
    write_bundle(folder, {**files, "model.onnx": files["model.onnx"][:1000]})


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda site: (model_of(site) / "compiled" / "model.onnx").write_bytes(b"x"), 7, "has the SHA-256"),
        (lambda site: (model_of(site) / "compiled" / "parity.json").unlink(), 7, "lacks parity.json"),
        (resummed_graph, 8, "ONNX Runtime cannot load the graph"),
        (lambda site: (model_of(site) / "global.safetensors").write_bytes(b"x"), 10, "holds another memory"),
    ],
)
def test_a_compiled_model_that_cannot_be_trusted_judges_nothing(
    edgefed: Edgefed, own_site: Path, cells: Path, spoil: Spoil, code: int, words: str
) -> None:
    spoil(own_site)
    told(edgefed("infer", cells / "test", "--state", own_site), code, words)


def told(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.strip()]) == 1
    assert done.stdout == ""


@pytest.fixture
def signed(own_site: Path) -> Path:
    """A bundle with the signature of a release key that the site has pinned."""
    key = Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (own_site / "identity" / "release.pem").write_bytes(pem)
    bundle = model_of(own_site) / "compiled"
    (bundle / "model.sig").write_bytes(key.sign((bundle / "SHA256SUMS").read_bytes()))
    return bundle


def test_a_signed_bundle_judges(edgefed: Edgefed, own_site: Path, signed: Path, cells: Path) -> None:
    done = edgefed("infer", cells / "test", "--state", own_site, "--bundle", signed)
    assert done.returncode == 0, done.stderr


def other_key(site: Path) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (site / "identity" / "release.pem").write_bytes(pem)


def card_and_sums(site: Path) -> None:
    from edge_client.bundle.sums import sums_of

    bundle = model_of(site) / "compiled"
    (bundle / "MODEL_CARD.md").write_text("All is well.")
    (bundle / "SHA256SUMS").write_bytes(sums_of({path.name: path.read_bytes() for path in bundle.iterdir()}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda site: (model_of(site) / "compiled" / "model.sig").unlink(), "the bundle is not signed"),
        (lambda site: (model_of(site) / "compiled" / "model.sig").write_bytes(bytes(64)), "is not by your coordinator"),
        (lambda site: (model_of(site) / "compiled" / "model.sig").write_bytes(b"short"), "is not by your coordinator"),
        (lambda site: (site / "identity" / "release.pem").write_text("no key"), "is not a release key"),
        (other_key, "is not by your coordinator"),
        (card_and_sums, "is not by your coordinator"),
    ],
)
def test_a_bundle_of_somebody_else_judges_nothing(
    edgefed: Edgefed, own_site: Path, signed: Path, cells: Path, spoil: Spoil, words: str
) -> None:
    spoil(own_site)
    told(edgefed("infer", cells / "test", "--state", own_site, "--bundle", signed), 7, words)
