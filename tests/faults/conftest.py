"""Deployments that the trials of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.__main__ import ALL_POINTS
from tests.faults.deployment import Deployment


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("faults") / "deployment", ALL_POINTS) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def fragile_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One whose power can be cut."""
    with Deployment(tmp_path_factory.mktemp("power") / "deployment", ALL_POINTS, power_cuts=True) as deployment:
        yield deployment
