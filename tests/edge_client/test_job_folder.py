"""What a site keeps of one job."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_client.job_folder import JobFolder, standings
from edge_client.state import SiteState
from protos.artifacts import digest_of_file
from protos.errors import StateError

GOOD = '{"job": "cells", "state": "joined", "time": 1e9}'


def stand(root: Path, job: str, text: str) -> None:
    (root / "jobs" / job).mkdir(parents=True)
    (root / "jobs" / job / "standing.json").write_text(text)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[" * 99_999, GOOD.replace("1e9", '"x"'), GOOD.replace("1e9", "1e300"), GOOD.replace('"joined"', "7")],
)
def test_a_standing_that_cannot_be_is_named(tmp_path: Path, text: str) -> None:
    stand(tmp_path, "cells", text)
    stand(tmp_path, "other", GOOD)
    with pytest.raises(StateError, match=r"cells/standing\.json cannot be read"):
        standings(SiteState(tmp_path))


def test_a_model_counts_as_installed_when_it_is_whole_and_the_current_one(tmp_path: Path) -> None:
    folder = JobFolder(SiteState(tmp_path), "cells")
    folder.model.mkdir(parents=True)
    final = folder.model / "global.safetensors"
    final.write_bytes(b"memory")
    digest = digest_of_file(final)
    assert not folder.has_installed(digest)  # the power went before it became the current one
    (tmp_path / "models" / "current").write_text("cells\n")
    assert folder.has_installed(digest)
    assert not folder.has_installed("0" * 64)
