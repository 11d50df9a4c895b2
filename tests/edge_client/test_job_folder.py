"""What a site keeps of one job."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_client.job_folder import standings
from edge_client.state import SiteState
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
