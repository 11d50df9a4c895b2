"""The configuration examples are what the programs read."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge_client.config import load_site_config
from protos.jobs import load_job

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"


def test_every_example_is_read_by_one_of_these_tests() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {"job.toml", "site.toml"}


def test_the_job_of_the_examples_can_be_submitted() -> None:
    spec = load_job(EXAMPLES / "job.toml")
    assert (spec.method, spec.rounds.count, spec.rounds.quorum) == ("feddymem", 3, 2)
    assert spec.the_settings.score.false_reject_rate == 0.01


def test_the_site_of_the_examples_lets_out_what_its_job_sends(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "site.toml", tmp_path)
    config = load_site_config(tmp_path)
    sent = load_job(EXAMPLES / "job.toml").the_method.media_type
    assert config.egress.refusal(sent, 1 << 20) is None
    assert config.backbones["efficientnet-lite0"].weights == Path("/models/efficientnet-lite0.pth")
