"""A federated method is a value: pure functions that the live system, the simulation and the tests all run.

The aggregate half imports numpy and scikit-learn only; the local half (torch) lies in a module of its own that is
imported when a site really trains, so that neither a coordinator nor an idle agent ever loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.hsi.scene import Scene

Arrays = Mapping[str, NDArray[np.generic]]
"""Named tensors: what a site uploads, what the coordinator publishes, what a site keeps for itself."""

Declaration = Mapping[str, str]
"""What a site says about how it computes (backbone, its digest, feature width); equal at all sites of a job."""

Report = Callable[[str, int, int], None]
"""`report(stage, step, steps)` tells progress; it may raise to stop the work."""

METHODS_GROUP = "edgefed.methods"


class RejectedUpdate(ValueError):
    """An update cannot be used; the message names the fault and goes into the round's record."""


class Unusable(ValueError):
    """A site cannot do this job with its data or backbone; the message says why and what to do."""


@dataclass(frozen=True)
class Update:
    """One site's contribution to a round.

    Attributes:
        site: who sent it.
        weight: how much it stands for (rows of a bank, examples of weights), more than 0.
        arrays: the tensors.
        discount: in (0, 1]; less than 1 where the update was made from an older global than the others.
    """

    site: str
    weight: float
    arrays: Arrays
    discount: float = 1.0


@dataclass(frozen=True)
class Aggregated:
    """What the coordinator makes of a round.

    Attributes:
        arrays: the global model.
        remarks: site -> what the rule did with its update other than to count it (left out, clipped), with figures.
        metrics: name -> what the rule measured of the round; a few at most, for the job's record.
    """

    arrays: Arrays
    remarks: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SiteData:
    """What a site gives to the local half of a method.

    Attributes:
        samples: the training samples; for images a lazy sequence of uint8 arrays (H, W, 3), read one at a time.
        fingerprint: changes whenever a sample changes; caches are kept under it.
        weights: backbone name -> its weights file at this site, already checked against the site's SHA-256.
        scratch: a folder of the job's own at this site for caches; survives rounds and restarts.
        site: the site's name, mixed into seeds where sites must differ.
        scenes: of a method whose data is "cube", at least one; `samples` is empty then.
    """

    samples: Sequence[NDArray[np.uint8]]
    fingerprint: str
    weights: Mapping[str, Path]
    scratch: Path
    site: str
    scenes: tuple[Scene, ...] = ()


@dataclass(frozen=True)
class LocalResult:
    """What a site's work on a round gives.

    Attributes:
        update: leaves the site.
        weight: see `Update.weight`.
        state: stays at the site and comes back in the next round (generator, local bank).
        metrics: stay at the site, for its log and its report.
    """

    update: Arrays
    weight: float
    state: Arrays
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A federated method.

    Attributes:
        name: as in `job.toml`.
        settings: a frozen dataclass; its fields are the keys of the method's table in `job.toml`. Checked by pydantic.
        media_type: of updates and global models, see `protos.artifacts`.
        data: what the site must read: "images" (MVTec layout), "cube" (labelled scenes) or "none".
        check: `check(settings, declaration, previous, arrays)` raises `RejectedUpdate` with the reason; `previous` is
            the global that the update was made from, None in a first round.
        aggregate: `aggregate(settings, previous, updates, seed) -> Aggregated`; `previous` is the last global or None;
            `updates` come in sorted order of their sites, with arrays that are read when they are looked up.
        declare: `declare(settings, data) -> Declaration`; raises `Unusable`.
        local_update: `local_update(settings, data, previous, state, seed, report) -> LocalResult`; `previous` is
            None in a first round, `state` is empty in the site's first round.
        install: `install(settings, data, final, state, seed, report) -> arrays`; the site's own model of a finished
            job: what a detector needs besides the global (generator, calibration scores of held-out normals).
        fewest_updates: `fewest_updates(settings)`, how many updates `aggregate` needs at least.
    """

    name: str
    settings: type[Any]
    media_type: str
    data: str
    check: Callable[[Any, Declaration, Arrays | None, Arrays], None]
    aggregate: Callable[[Any, Arrays | None, Iterable[Update], int], Aggregated]
    declare: Callable[[Any, SiteData], Declaration]
    local_update: Callable[[Any, SiteData, Arrays | None, Arrays, int, Report], LocalResult]
    install: Callable[[Any, SiteData, Arrays, Arrays, int, Report], Arrays]
    fewest_updates: Callable[[Any], int] = lambda settings: 1


def derive_seed(seed: int, *parts: str | int) -> int:
    """A seed in [0, 2**31) for one purpose (a round, a site), independent of the seeds for all other purposes."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1


@cache
def methods() -> Mapping[str, Method]:
    """All methods of this installation, by name: the entry points of the group `edgefed.methods`."""
    found: dict[str, Method] = {}
    for entry in entry_points(group=METHODS_GROUP):
        method = entry.load()
        if not isinstance(method, Method):
            raise TypeError(f"the entry point {entry.name} of {METHODS_GROUP} is a {type(method)}, not a Method")
        found[method.name] = method
    return found
