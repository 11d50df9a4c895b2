"""The whole line once: a coordinator and three sites as processes over mutual TLS, from invitation to verdict."""

import json
import random
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from edge_client.datasets import training_images
from edge_client.image_files import ImageFiles, fingerprint
from edgefed.demo.anomaly.plants import load_cells
from edgefed.local_federation import LocalFederation
from edgefed.simulation import simulate
from models.method import SiteData
from protos.artifacts import digest_of_file
from protos.jobs import load_job
from protos.tensors import write_tensors

JOB = """
name = "small"
method = "feddymem"
seed = 5
[rounds]
count = 2
sites = ["site-1", "site-2", "site-3"]
[feddymem.features]
image_size = 96
[feddymem.memory]
rows = 48
upload_rows = 32
[feddymem.aggregation]
rows = 40
"""
SITES = {"site-1": ("mono", 8), "site-2": ("poly", 7), "site-3": ("mono", 5)}


@dataclass(frozen=True)
class Finished:
    """A federation whose job has ended and whose processes still run."""

    federation: LocalFederation
    status: dict[str, Any]
    job_file: Path
    data: dict[str, Path]
    test: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("federation")
    data, test = _write_data(folder / "data")
    job_file = folder / "job.toml"
    job_file.write_text(JOB)
    with LocalFederation(folder / "run", environment={"EDGEFED_THREADS": "1"}) as federation:
        federation.start_coordinator()
        for site, images in data.items():
            federation.join(site, images)
            federation.run_site(site)
        status = federation.job("watch", federation.submit(job_file))
        yield Finished(federation, status, job_file, data, test)


def _write_data(folder: Path) -> tuple[dict[str, Path], Path]:
    cells = load_cells()
    random.Random(0).shuffle(cells)
    piles = {(kind, p): [c.path for c in cells if (c.type, c.probability) == (kind, p)] for kind in ("mono", "poly") for p in (0.0, 1.0)}  # fmt: skip  # noqa: E501
    data = {}
    for site, (kind, count) in SITES.items():
        data[site] = folder / site
        _copy([piles[kind, 0.0].pop() for _ in range(count)], folder / site / "train" / "good")
    test = folder / "test-set"
    _copy(piles["mono", 0.0][:6], test / "test" / "good")
    _copy(piles["mono", 1.0][:6], test / "test" / "defective")
    return data, test


def _copy(images: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for image in images:
        shutil.copy(image, folder)


def test_job_finishes_with_every_site(finished: Finished) -> None:
    assert finished.status["phase"] == "finished"
    assert [past["committed"] for past in finished.status["history"]] == [sorted(SITES)] * 2
    assert all(past["missing"] == {} and past["bytes_up"] > 0 for past in finished.status["history"])


def test_live_and_simulated_job_give_the_same_bytes(finished: Finished, tmp_path: Path) -> None:
    sites = {}
    for site, folder in finished.data.items():
        images = training_images(folder).images
        scratch = tmp_path / site
        scratch.mkdir()
        sites[site] = SiteData(ImageFiles(images), fingerprint(images), {}, scratch, site)
    # As many threads as the sites' processes: a sum's last bit depends on how it is split.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            simulated = simulate(load_job(finished.job_file), sites)
    finally:
        torch.set_num_threads(threads)
    write_tensors(tmp_path / "global", simulated.final)
    assert digest_of_file(tmp_path / "global") == finished.status["global_digest"]


def test_every_site_has_installed_the_global_memory(finished: Finished) -> None:
    for site in SITES:
        installed = finished.federation.site_state(site) / "models" / "small" / "global.safetensors"
        assert digest_of_file(installed) == finished.status["global_digest"]


def test_only_banks_left_and_the_ledger_lists_them(finished: Finished) -> None:
    for site in SITES:
        entries = finished.federation.client(site, "ledger")["entries"]
        assert [entry["round"] for entry in entries] == [1, 2]
        assert {entry["media_type"] for entry in entries} == {"application/vnd.edgefed.memory-bank+safetensors"}
    sent = sum(entry["bytes"] for site in SITES for entry in finished.federation.client(site, "ledger")["entries"])
    assert sent == sum(past["bytes_up"] for past in finished.status["history"])


def test_nothing_at_the_coordinator_names_a_file_of_a_site(finished: Finished) -> None:
    names = [path.stem.encode() for folder in finished.data.values() for path in folder.rglob("*.png")]
    names += [str(folder).encode() for folder in finished.data.values()]
    for path in finished.federation.coordinator_state.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert not [name for name in names if name in held], path


def test_site_judges_images_and_draws_heat_maps(finished: Finished, tmp_path: Path) -> None:
    lines = finished.federation.client_lines(
        "site-1", "infer", str(finished.test / "test"), "--heatmaps", str(tmp_path / "maps")
    )
    assert len(lines) == 12
    for line in lines:
        assert line["verdict"] == ("defect" if line["score"] > line["threshold"] else "normal")
        assert line["milliseconds"] > 0 and Path(line["heatmap"]).stat().st_size > 1000


def test_site_evaluates_its_model(finished: Finished) -> None:
    found = finished.federation.client("site-1", "evaluate", "--data", str(finished.test))
    assert 0.0 <= found["image_auroc"] <= 1.0 and found["pixel_auroc"] is None


def test_job_file_of_the_demo_is_valid(tmp_path: Path) -> None:
    from edgefed.demo.anomaly.run import JOB as DEMO_JOB

    (tmp_path / "job.toml").write_text(f"seed = 3\n{DEMO_JOB}")
    assert load_job(tmp_path / "job.toml").seed == 3
    assert tomllib.loads(DEMO_JOB)["rounds"]["count"] >= 1
    assert json.loads(load_job(tmp_path / "job.toml").model_dump_json())["name"] == "solar-cells"
