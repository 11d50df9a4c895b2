"""What a finished job has left at a site: the global memory, the site's own part, and the job's specification."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from safetensors.numpy import save

from protos.jobs import job_from_table, job_to_json
from tests.fuzz.families.tensors import bend_file
from tests.fuzz.family import Family
from tests.fuzz.mutations import bend_json

_PARTS = {b"g": "global.safetensors", b"l": "local.safetensors", b"s": "spec.json"}


@cache
def _sound() -> dict[bytes, bytes]:
    """The three files of a sound model, by their letter."""
    from models.features import stage_widths
    from models.feddymem.generator import MemoryGenerator, generator_to_arrays

    settings = {"features": {"image_size": 96}, "memory": {"rows": 64}, "aggregation": {"rows": 32}}
    spec = job_from_table({"name": "cells", "method": "feddymem", "feddymem": settings}, source="the test")
    features = spec.the_settings.features
    widths = stage_widths(features.backbone, features.stages)
    rows = np.random.default_rng(0).random((32, sum(widths)), np.float32)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    own = {**generator_to_arrays(MemoryGenerator(widths)), "calibration": np.linspace(0, 1, 9, dtype=np.float32)}
    return {
        b"g": save({"rows": rows, "counts": np.ones(32, np.float32)}),
        b"l": save(own),
        b"s": job_to_json(spec).encode(),
    }


def _files() -> list[bytes]:
    return [letter + content for letter, content in _sound().items()]


def _bend(random: Random, data: bytes) -> bytes:
    letter, content = data[:1], data[1:]
    return letter + (bend_json if letter == b"s" else bend_file)(random, content)


def _take(data: bytes, folder: Path) -> None:
    from edge_client.inference import load_model

    model = folder / "models" / "cells"
    model.mkdir(parents=True)
    (folder / "version").write_text("1\n")
    (folder / "models" / "current").write_text("cells\n")
    (folder / "site.toml").write_text("[egress]\nallow = []\nmax_bytes = 1\n")
    for letter, content in (_sound() | {data[:1]: data[1:]}).items():
        (model / _PARTS[letter]).write_bytes(content)
    loaded = load_model(folder)
    Image.new("RGB", (96, 96), "grey").save(folder / "image.png")
    found = loaded.judge(folder / "image.png")
    assert np.isfinite(found.score) and np.isfinite(found.map).all()
    _ = loaded.calibration()


INSTALLED = (
    Family("installed models", _files, _bend, _take, quick=25, full=1000, memory_bytes=256 << 20, limit_s=3.0),
)
