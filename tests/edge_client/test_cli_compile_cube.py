"""`edgefed client compile` for a model that classifies pixels, and what `infer` makes of it, with and without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.bundle.bundle import ClassifierBundle, open_bundle
from edge_client.bundle.sums import sums_of
from edge_client.compile.compiler import compile_model
from edge_client.compile.request import Request
from edge_client.cubes.geotiff import read_tiff_plane
from tests.edge_client.cubes.files import MAP_INFO, write_envi
from tests.edge_client.test_cli_compile import told, without_torch
from tests.edge_client.test_cli_cube import CLASSES, JOB, WAVELENGTHS, scene

Edgefed = Callable[..., "subprocess.CompletedProcess[str]"]
NETWORKS = [
    "spectral-mlp",
    pytest.param("sformer-small", marks=pytest.mark.slow),
    pytest.param("hypersigma-small", marks=pytest.mark.slow),
]


def make_site(root: Path, network: str) -> Path:
    """A site's state folder as `join` leaves it, with the model of a job that it has trained alone."""
    from edge_client.alone import train_alone
    from protos.jobs import load_job

    for folder in ("identity", "models", "jobs"):
        (root / folder).mkdir(parents=True)
    cube, labels = scene(1)
    np.savez(root / "scene.npz", cube=cube, gt=labels, class_names=np.array(CLASSES), wavelengths=WAVELENGTHS)
    (root / "site.toml").write_text(
        '[data]\ncube = "scene.npz"\nlabels = "scene.npz"\n[egress]\nallow = []\nmax_bytes = 1\n'
    )
    (root / "version").write_text("1\n")
    (root / "identity" / "coordinator.json").write_text(json.dumps({"address": "127.0.0.1:1", "site": "plant-a"}))
    (root / "job.toml").write_text(JOB.replace("spectral-mlp", network).replace("count = 6", "count = 2"))
    model = root / "models" / "crops"
    train_alone(root, load_job(root / "job.toml"), model, lambda *progress: None, kind="disjoint", per_class=20)
    (root / "models" / "current").write_text("crops\n")
    return root


@pytest.fixture(scope="module")
def compiled_cubes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a compiled classifier; tests leave it as it is."""
    site = make_site(tmp_path_factory.mktemp("cubes") / "site", "spectral-mlp")
    compile_model(Request(site, "crops", "onnxruntime", "fp32"), lambda *progress: None)
    return site


@pytest.fixture
def own_site(compiled_cubes: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return Path(shutil.copytree(compiled_cubes, tmp_path / "own-site"))


def bundle_of(site: Path) -> Path:
    return site / "models" / "crops" / "compiled"


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("network", NETWORKS)
def test_classes_are_those_of_the_trained_model_when_compiled(edgefed: Edgefed, tmp_path: Path, network: str) -> None:
    site = make_site(tmp_path / "site", network)
    infer = ("infer", site / "scene.npz", "--state", site, "--maps", tmp_path / "maps")
    trained = edgefed(*infer)
    before = read_tiff_plane(Path(document(trained)["maps"]["geotiff"]))[0]
    assert "the trained model, with torch, classifies" in trained.stderr
    told_of = document(edgefed("compile", "--state", site, "--json"))
    parity = told_of["parity"]
    assert parity["agreement"] >= 0.999 and parity["pixels"] == 2048
    assert all(gate["passed"] for gate in parity["gates"])
    assert told_of["seconds"]["exported"] and not told_of["signed"] and told_of["unsigned_because"]
    compiled = edgefed(*infer)
    after = read_tiff_plane(Path(document(compiled)["maps"]["geotiff"]))[0]
    assert (after == before).mean() >= 0.999
    assert "the compiled model, fp32 on onnxruntime, CPUExecutionProvider, classifies" in compiled.stderr


def test_a_bundle_says_all_that_a_cube_becomes(compiled_cubes: Path) -> None:
    bundle = open_bundle(bundle_of(compiled_cubes))
    assert isinstance(bundle, ClassifierBundle)
    manifest, spectra = bundle.manifest, bundle.manifest.input
    assert (manifest.task, manifest.network, manifest.classes) == (
        "pixel classes",
        "spectral-mlp",
        ("wood", "corn", "soy"),
    )
    assert (spectra.bands, spectra.components, spectra.size, spectra.wavelengths) == (8, 4, 1, ())
    installed = compiled_cubes / "models" / "crops" / "global.safetensors"
    assert bundle.files["weights.safetensors"] == installed.read_bytes()
    card = bundle.files["MODEL_CARD.md"].decode()
    assert "cubes need the 8 bands" in card.lower() and "wood, corn, soy" in card


def test_a_bundle_maps_a_cube_without_torch_and_without_a_site(compiled_cubes: Path, tmp_path: Path) -> None:
    cube, labels = scene(2)
    (tmp_path / "flight").mkdir()
    write_envi(tmp_path / "flight" / "b.img", cube, "bil", more=MAP_INFO)
    arguments = ("infer", tmp_path / "flight" / "b.hdr", "--state", tmp_path / "nowhere", "--maps", tmp_path / "maps")
    line = document(without_torch(*arguments, "--bundle", bundle_of(compiled_cubes)))
    plane, names = read_tiff_plane(Path(line["maps"]["geotiff"]))
    by_name, known = np.array(["", *names])[plane], labels > 0
    assert (by_name[known] == np.array(["", *CLASSES])[labels[known]]).mean() > 0.9
    tar = tmp_path / "crops.tar"
    from edge_client.bundle.files import read_files
    from edge_client.bundle.writing import write_tar

    write_tar(tar, read_files(bundle_of(compiled_cubes)))
    assert document(without_torch(*arguments, "--bundle", tar))["classes"] == line["classes"]


def test_a_trained_model_says_what_it_needs_when_torch_is_not_there(own_site: Path) -> None:
    shutil.rmtree(bundle_of(own_site))
    done = without_torch("infer", own_site / "scene.npz", "--state", own_site)
    told(done, 2, "is not compiled and torch is not installed")


def resum(site: Path) -> None:
    folder = bundle_of(site)
    (folder / "SHA256SUMS").write_bytes(sums_of({path.name: path.read_bytes() for path in folder.iterdir()}))


def other_classes(site: Path) -> None:
    path = bundle_of(site) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "classes": ["wood", "corn"]}))
    resum(site)


def other_bands(site: Path) -> None:
    path = bundle_of(site) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "input": {**manifest["input"], "bands": 9}}))
    resum(site)


def detectors_file(site: Path) -> None:
    (bundle_of(site) / "calibration.json").write_text("{}")
    resum(site)


def later_round(site: Path) -> None:
    path = site / "models" / "crops" / "global.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda site: (bundle_of(site) / "model.onnx").write_bytes(b"x"), 7, "model.onnx has the SHA-256"),
        (lambda site: (bundle_of(site) / "weights.safetensors").write_bytes(b"x"), 7, "has the SHA-256"),
        (lambda site: (bundle_of(site) / "parity.json").unlink(), 7, "lacks parity.json"),
        (other_bands, 2, "projects (8, 4) and manifest.json says (9, 4)"),
        (detectors_file, 2, "contradict each other"),
        (other_classes, 8, "is not of the windows and classes"),
        (later_round, 10, "is of another round than"),
    ],
)
def test_a_compiled_model_that_cannot_be_trusted_classifies_nothing(
    edgefed: Edgefed, own_site: Path, spoil: Callable[[Path], object], code: int, words: str
) -> None:
    spoil(own_site)
    told(edgefed("infer", own_site / "scene.npz", "--state", own_site), code, words)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("compile", "--backend", "tensorrt"), 4, "run on ONNX Runtime and not on tensorrt yet"),
        (("compile", "--precision", "int8"), 2, "is compiled in fp32, and int8 was asked for"),
        (("infer", "NARROW"), 2, "fitted on 8 bands, and the cube has 7"),
        (("infer", "IMAGE", "--bundle", "BUNDLE"), 2, "classifies the pixels of cubes, and judges no images"),
    ],
)
def test_misuse_is_one_line_and_an_exit_code(
    edgefed: Edgefed, compiled_cubes: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    np.save(tmp_path / "narrow.npy", scene(2)[0][:, :, :7])
    places = {"NARROW": tmp_path / "narrow.npy", "IMAGE": tmp_path / "a.png", "BUNDLE": bundle_of(compiled_cubes)}
    done = edgefed(*(places.get(one, one) for one in arguments), "--state", compiled_cubes)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.split()) and done.stdout == ""


def test_a_detectors_bundle_classifies_no_cube(edgefed: Edgefed, compiled_bundle: Path, compiled_cubes: Path) -> None:
    done = edgefed("infer", compiled_cubes / "scene.npz", "--state", compiled_cubes, "--bundle", compiled_bundle)
    told(done, 2, "is a cube by its name, and the model judges images")
