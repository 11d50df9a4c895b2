"""FedAvg as a value: the aggregation that weight-exchanging methods build on (`dataclasses.replace(FEDAVG, ...)`)."""

from __future__ import annotations

from typing import Any, NoReturn

from models.fedavg.aggregate import aggregate
from models.fedavg.check import check
from models.fedavg.settings import Settings, aggregation_of
from models.method import Arrays, Declaration, LocalResult, Method, Report, SiteData, Unusable


def _declare(settings: Settings, data: SiteData) -> Declaration:
    raise _no_training()


def _local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    raise _no_training()


def _install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> NoReturn:
    raise _no_training()


def _fewest_updates(settings: Any) -> int:
    return aggregation_of(settings).fewest


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
    fewest_updates=_fewest_updates,
)
