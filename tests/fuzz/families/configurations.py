"""`job.toml` and `site.toml`, as people write them and as they must not be."""

from __future__ import annotations

from pathlib import Path
from random import Random

from edge_client.config import Data, load_site_config, site_toml
from protos.jobs import job_from_json, job_to_json, load_job
from tests.fuzz.family import Family
from tests.fuzz.mutations import bend_text

_JOBS = (
    b"""name = "cells"
method = "feddymem"
seed = 5
[rounds]
count = 2
sites = ["plant-a", "plant-b"]
quorum = 1
gather_s = 30.0
[feddymem.features]
backbone = "efficientnet_lite0"
image_size = 96
[feddymem.memory]
rows = 48
upload_rows = 32
[feddymem.score]
holdout = 0.4
""",
    b'name = "small"\nmethod = "fedavg"\nrounds = { count = 3, sites = [] }\n',
)
_SITES = (
    b"""[data]
images = "/data/images"
[egress]
allow = ["memory-bank", "weights"]
max_bytes = 268_435_456
[backbones.efficientnet_lite0]
weights = "models/net.pt"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
""",
    site_toml(Data(images=Path('/data/a "quoted" folder'))).encode(),
)
_DEEP = (b"x = " + b"[" * 20_000, b"x = " + b"{a=" * 5000, b"[" + b"a." * 20_000 + b"a]", b"x = 1" + b"0" * 5000)


def _bend(random: Random, data: bytes) -> bytes:
    return bend_text(random, _JOBS[0] if data in _DEEP else data)  # the deep ones are slow: tried as they are


def _take_job(data: bytes, folder: Path) -> None:
    path = folder / "job.toml"
    path.write_bytes(data)
    spec = load_job(path)
    assert job_from_json(job_to_json(spec)) == spec


def _take_site(data: bytes, folder: Path) -> None:
    (folder / "site.toml").write_bytes(data)
    config = load_site_config(folder)
    assert config.egress.max_bytes >= 1
    assert config.data.images is None or config.data.images.is_absolute()
    assert all(entry.weights.is_absolute() for entry in config.backbones.values())
    assert config.egress.refusal("application/x-other", 1)


CONFIGURATIONS = (
    Family("job.toml", lambda: (*_JOBS, *_DEEP), _bend, _take_job),
    Family("site.toml", lambda: (*_SITES, *_DEEP), _bend, _take_site),
)
