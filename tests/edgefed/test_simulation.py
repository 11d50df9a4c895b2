"""A simulated job: repeatable, and as strict as the coordinator."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgefed.simulation import simulate
from models.backbones.registry import weights_file
from models.method import SiteData, Unusable
from protos.errors import Refused
from protos.jobs import JobSpec, job_from_table

MakeSite = Callable[..., SiteData]


@pytest.fixture
def spec() -> JobSpec:
    small = {"features": {"image_size": 64}, "memory": {"rows": 16, "upload_rows": 12}}
    table = {
        "name": "x",
        "method": "feddymem",
        "rounds": {"count": 2},
        "feddymem": {**small, "aggregation": {"rows": 20}},
    }
    return job_from_table(table, source="test")


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    def make(name: str, count: int = 4, **changes: object) -> SiteData:
        draw = np.random.default_rng(len(name) + count)
        images = [draw.integers(0, 255, (80, 90, 3), np.uint8) for _ in range(count)]
        scratch = tmp_path / name
        scratch.mkdir(exist_ok=True)
        return SiteData(**{"samples": images, "fingerprint": name, "weights": {}, "scratch": scratch, "site": name, **changes})  # type: ignore[arg-type]  # fmt: skip  # noqa: E501

    return make


def test_same_seed_gives_the_same_bytes(spec: JobSpec, make_site: MakeSite) -> None:
    sites = {"b": make_site("b"), "a": make_site("a", 3)}
    first, second = simulate(spec, sites), simulate(spec, dict(reversed(sites.items())))
    assert {name: array.tobytes() for name, array in first.final.items()} == {
        name: array.tobytes() for name, array in second.final.items()
    }
    assert first.final["rows"].shape[0] == 20
    assert set(first.states) == {"a", "b"}


def test_progress_names_site_round_and_stage(spec: JobSpec, make_site: MakeSite) -> None:
    told = set()
    simulate(spec, {"a": make_site("a")}, lambda site, number, stage, step, steps: told.add((site, number, stage)))
    assert {("a", 1, "features"), ("a", 2, "features")} <= told


def test_site_with_another_backbone_file_is_refused_by_name(spec: JobSpec, make_site: MakeSite, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    weights = torch.load(weights_file("efficientnet_lite0", {}), weights_only=True)
    torch.save({name: tensor * 1.5 for name, tensor in weights.items()}, other)
    sites = {"a": make_site("a"), "b": make_site("b", weights={"efficientnet_lite0": other})}
    with pytest.raises(Refused, match=r"b declares backbone_sha256 \w+, but a \w+"):
        simulate(spec, sites)


def test_site_without_images_is_unusable(spec: JobSpec, make_site: MakeSite) -> None:
    with pytest.raises(Unusable):
        simulate(spec, {"a": make_site("a", 0)})
