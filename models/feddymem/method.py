"""FedDyMem as a value. Its local half is imported when a site really trains: it needs torch."""

from __future__ import annotations

from models.feddymem.aggregate import aggregate, check, fewest_updates
from models.feddymem.settings import Settings
from models.method import Arrays, Declaration, LocalResult, Method, Report, SiteData


def _declare(settings: Settings, data: SiteData) -> Declaration:
    from models.feddymem import local

    return local.declare(settings, data)


def _local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    from models.feddymem import local

    return local.local_update(settings, data, previous, state, seed, report)


def _install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> Arrays:
    from models.feddymem import local

    return local.install(settings, data, final, state, seed, report)


FEDDYMEM = Method(
    name="feddymem",
    settings=Settings,
    media_type="application/vnd.edgefed.memory-bank+safetensors",
    data="images",
    check=check,
    aggregate=aggregate,
    declare=_declare,
    local_update=_local_update,
    install=_install,
    fewest_updates=fewest_updates,
)
