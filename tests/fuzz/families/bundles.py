"""Bundles of compiled models: the tar file bent as such, or a file in it with the digests made right again."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from random import Random

import numpy as np
from safetensors.numpy import save

from edge_client.bundle.bundle import open_bundle
from edge_client.bundle.calibration import CalibrationFile
from edge_client.bundle.manifest import Backbone, DetectorManifest, Input, Memory, Output
from edge_client.bundle.record import Graph
from edge_client.bundle.sums import sums_of
from edge_client.bundle.writing import tar_of
from tests.fuzz.families.tensors import bend_file
from tests.fuzz.family import Family
from tests.fuzz.mutations import bend_bytes, bend_json


def _files() -> dict[str, bytes]:
    rows = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float16)
    manifest = DetectorManifest(
        edgefed="0.1.0", job="cells", backend="onnxruntime", precision="fp32", input=Input(size=64),
        output=Output(rule="max", self_normalise=False), graph=Graph(opset=18, exporter="none"),
        memory=Memory(rows=6, width=4, cell_scale=True, generator=True),
        backbone=Backbone(name="none", stages=("stride8",), sha256="0" * 64),
    )  # fmt: skip
    calibration = CalibrationFile(false_reject_rate=0.01, normal_scores=(0.1, 0.2))
    files = {
        "manifest.json": manifest.to_json(),
        "model.onnx": b"a graph is first looked at by what runs it",
        "memory_bank.safetensors": save({"rows": rows, "counts": np.ones(6, np.float32)}),
        "generator.safetensors": save({"weight": np.eye(4, dtype=np.float32), "bias": np.zeros(4, np.float32)}),
        "calibration.json": calibration.model_dump_json().encode(),
        "parity.json": b"{}",
        "MODEL_CARD.md": b"# cells",
    }
    return {**files, "SHA256SUMS": sums_of(files)}


def _bundles() -> list[bytes]:
    return [tar_of(_files()), b"", bytes(10_240)]


def _bend(random: Random, data: bytes) -> bytes:
    if random.random() < 0.4:
        return bend_bytes(random, data)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        name = random.choice(sorted(files))
    except (tarfile.TarError, AttributeError, IndexError, EOFError, ValueError, OSError):
        return bend_bytes(random, data)
    if name.endswith(".json"):
        files[name] = bend_json(random, files[name])
    elif name.endswith(".safetensors"):
        files[name] = bend_file(random, files[name])
    elif random.random() < 0.5:
        files[random.choice(("../x", "/etc/x", "bench.json", "model.sig", "x" * 90, "a/b"))] = files.pop(name)
    else:
        files[name] = bend_bytes(random, files[name])
    if name != "SHA256SUMS" and random.random() < 0.9:
        files["SHA256SUMS"] = sums_of(files)
    return tar_of(files)


def _take(data: bytes, folder: Path) -> None:
    path = folder / "bundle.tar"
    path.write_bytes(data)
    bundle = open_bundle(path)
    rows, scales, generator = bundle.bank.rows, bundle.bank.scales, bundle.bank.generator
    assert np.isfinite(rows).all() and np.isfinite(scales).all() and (scales > 0).all()
    assert rows.shape == (bundle.manifest.memory.rows, bundle.manifest.memory.width) and len(scales) == len(rows)
    assert generator is None or all(np.isfinite(part).all() for part in generator)
    assert np.isfinite(bundle.calibration.scores).all()


BUNDLES = (Family("compiled bundles", _bundles, _bend, _take, quick=150, full=10_000),)
