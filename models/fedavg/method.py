"""FedAvg as a value: the aggregation that weight-exchanging methods build on (`dataclasses.replace(FEDAVG, ...)`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from models.fedavg.aggregate import aggregate, check
from models.method import Arrays, Declaration, LocalResult, Method, Report, SiteData, Unusable


@dataclass(frozen=True, kw_only=True)
class Settings:
    """FedAvg has nothing to set."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads this name, unannotated


def _declare(settings: Settings, data: SiteData) -> Declaration:
    raise _no_training()


def _local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    raise _no_training()


def _install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> NoReturn:
    raise _no_training()


def _no_training() -> Unusable:
    return Unusable("fedavg only averages weights and has no training of its own; name a method that builds on it")


FEDAVG = Method(
    name="fedavg",
    settings=Settings,
    media_type="application/vnd.edgefed.weights+safetensors",
    data="none",
    check=check,
    aggregate=aggregate,
    declare=_declare,
    local_update=_local_update,
    install=_install,
)
