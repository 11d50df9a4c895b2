"""Graphs that were exported before: a new round changes none of what a graph depends on, so it needs no export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from edge_client.compile.export import OPSET
from edge_client.state import disk_errors, write_durably
from models.feddymem.settings import Settings


def graph_key(settings: Settings, weights_sha256: str, *, generator: bool) -> str:
    """Digest of everything that decides a graph's bytes; memory, generator and calibration are not among it."""
    features, score = settings.features, settings.score
    parts = {
        "edgefed": version("edgefed"), "torch": version("torch"), "onnxscript": version("onnxscript"), "opset": OPSET,
        "backbone": features.backbone, "weights": weights_sha256, "stages": features.stages,
        "size": features.image_size, "rule": score.rule, "self_normalise": score.self_normalise,
        "generator": generator,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def kept_graph(folder: Path, key: str, make: Callable[[], bytes]) -> tuple[bytes, bool]:
    """The graph of a key and whether it was there already; a file that is not what it was is made anew.

    Raises:
        StateError: the folder cannot be written.
    """
    for path in folder.glob(f"{key}-*.onnx"):
        data = path.read_bytes()
        if path.stem == f"{key}-{hashlib.sha256(data).hexdigest()}":
            return data, True
        path.unlink()
    data = make()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / f"{key}-{hashlib.sha256(data).hexdigest()}.onnx", data)
    return data, False
