"""WSA as a value. Its local half is imported when a site really trains: it needs torch."""

from __future__ import annotations

from typing import Any

from models.fedavg.settings import aggregation_of
from models.method import Arrays, Declaration, LocalResult, Method, Report, SiteData
from models.wsa.aggregate import aggregate, check
from models.wsa.settings import Settings


def _declare(settings: Settings, data: SiteData) -> Declaration:
    from models.wsa import local

    return local.declare(settings, data)


def _local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    from models.wsa import local

    return local.local_update(settings, data, previous, state, seed, report)


def _install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> Arrays:
    return state  # how its layers went; the global model holds the projection and all weights


def _fewest_updates(settings: Any) -> int:
    return aggregation_of(settings).fewest


WSA = Method(
    name="wsa",
    settings=Settings,
    media_type="application/vnd.edgefed.weights+safetensors",
    data="cube",
    check=check,
    aggregate=aggregate,
    declare=_declare,
    local_update=_local_update,
    install=_install,
    fewest_updates=_fewest_updates,
)
