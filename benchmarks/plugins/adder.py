"""A method of the least work there is: receive the model, add 0.01 to every value, send it back; FedAvg averages.

The folder beside this file registers it under `edgefed.methods` as an installed package would; with this folder on
PYTHONPATH coordinator and sites find it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from models.fedavg.method import FEDAVG
from models.method import Arrays, Declaration, LocalResult, Report, SiteData

STEP = np.float32(0.01)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The model's size.

    Attributes:
        arrays: float32 tensors of the model.
        values: of each tensor.
    """

    arrays: int
    values: int


def start(settings: Settings) -> Arrays:
    """The model that the first round starts from, equal at every site."""
    rng = np.random.default_rng(0)
    return {f"array{i:02}": rng.standard_normal(settings.values, dtype=np.float32) for i in range(settings.arrays)}


def _declare(settings: Settings, data: SiteData) -> Declaration:
    return {"step": str(STEP)}


def _local_update(
    settings: Settings, data: SiteData, previous: Arrays | None, state: Arrays, seed: int, report: Report
) -> LocalResult:
    model = start(settings) if previous is None else previous
    update = {name: np.add(array, STEP) for name, array in model.items()}
    # Equal updates would be one artifact, stored once; trained ones never are.
    update["array00"][0] = crc32(data.site.encode()) / 2**32
    return LocalResult(update, 1.0, {})


def _install(settings: Settings, data: SiteData, final: Arrays, state: Arrays, seed: int, report: Report) -> Arrays:
    return {}


ADDER = replace(FEDAVG, name="adder", settings=Settings, declare=_declare, local_update=_local_update, install=_install)
