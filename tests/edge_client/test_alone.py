"""A job at one site without a coordinator is the job of a federation of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_client.alone import train_alone
from edge_client.site_data import SiteReader
from edgefed.simulation import simulate
from protos.errors import InvalidInput
from protos.jobs import job_from_json, job_from_table
from protos.tensors import read_tensors


def silent(stage: str, step: int, steps: int) -> None:
    pass


def test_a_job_of_images_gives_the_model_of_a_federation_of_one(site_folder: Path, tmp_path: Path) -> None:
    spec = job_from_json((site_folder / "jobs" / "cells" / "spec.json").read_text())
    out = tmp_path / "alone"
    assert train_alone(site_folder, spec, out, silent, kind="disjoint", per_class=50) is None
    data = SiteReader().read(site_folder, tmp_path / "simulated", spec, silent)
    expected = simulate(spec, {data.site: data}).final
    found = read_tensors(out / "global.safetensors")
    assert sorted(found) == sorted(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    assert job_from_json((out / "spec.json").read_text()) == spec and read_tensors(out / "local.safetensors")
    assert not (out / "scratch").exists()


def test_a_site_without_data_for_the_job_is_told(site_folder: Path, tmp_path: Path) -> None:
    (site_folder / "site.toml").write_text("[egress]\nallow = []\nmax_bytes = 1\n")
    spec = job_from_table({"name": "none", "method": "feddymem"}, source="test")
    with pytest.raises(InvalidInput, match=r"'none' cannot be done at this site alone: .* set \[data\] images"):
        train_alone(site_folder, spec, tmp_path / "alone", silent, kind=None, per_class=50)
    assert not (tmp_path / "alone").exists()
