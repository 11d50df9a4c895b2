"""A site with a compiled model of solar cells, made as a site makes one: trained, installed, compiled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_client.bundle.files import read_files
from edge_client.bundle.writing import write_tar
from edge_client.compile.compiler import compile_model
from edge_client.compile.request import Request
from edge_client.config import Data, site_toml
from edge_client.judging import COMPILED
from edge_client.worker import Training
from edgefed.demo.anomaly.plants import deal, load_cells
from models.feddymem.method import FEDDYMEM
from models.method import Update
from protos.jobs import job_from_json, job_from_table, job_to_json
from protos.tensors import read_tensors, write_tensors

JOB = "cells"
SMALL: Mapping[str, Any] = {
    "features": {"image_size": 96}, "memory": {"rows": 64, "upload_rows": 32}, "aggregation": {"rows": 32},
}  # fmt: skip
FULL: Mapping[str, Any] = {"features": {"image_size": 224}}
_LEARNT = 60


def make_site(root: Path, settings: Mapping[str, Any]) -> Path:
    """A site's state folder with 60 functional mono cells and the job's specification, not yet trained.

    Args:
        root: where it goes; the images lie in `images` of it and the state in `site`.
        settings: the table `[feddymem]` of the job.
    """
    images, site = root / "images" / "train" / "good", root / "site"
    images.mkdir(parents=True)
    for cell in deal(load_cells(), 0).train["plant-a"][:_LEARNT]:
        shutil.copy(cell.path, images)
    for folder in ("identity", "models", f"jobs/{JOB}"):
        (site / folder).mkdir(parents=True)
    (site / "version").write_text("1\n")
    (site / "site.toml").write_text(site_toml(Data(images=root / "images")))
    (site / "identity" / "coordinator.json").write_text(json.dumps({"address": "127.0.0.1:1", "site": "plant-a"}))
    job = {"name": JOB, "method": "feddymem", "feddymem": {**settings, "score": {"holdout": 0.4}}}
    (site / "jobs" / JOB / "spec.json").write_text(job_to_json(job_from_table(job, source="the benchmark")))
    return site


def compile_round(site: Path, number: int, tar: Path) -> None:
    """Trains, installs and compiles round `number`: into `models/cells/compiled` of the site and a tar file."""
    folder, model, training = site / "jobs" / JOB, site / "models" / JOB, Training(lambda *progress: None)
    before = None if number == 1 else folder / "global.safetensors"
    training.update(folder, site, number, before, folder / "update.safetensors")
    settings = job_from_json((folder / "spec.json").read_text()).the_settings
    updates = [Update("plant-a", 1.0, read_tensors(folder / "update.safetensors"))]
    known = None if before is None else read_tensors(before)
    write_tensors(folder / "global.safetensors", FEDDYMEM.aggregate(settings, known, updates, number).arrays)
    model.mkdir(exist_ok=True)
    training.install(folder, site, number, folder / "global.safetensors", model)
    (site / "models" / "current").write_text(f"{JOB}\n")
    compile_model(Request(site, JOB, "onnxruntime", "fp32"), lambda *progress: None)
    write_tar(tar, read_files(model / COMPILED))
