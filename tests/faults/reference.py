"""What an undisturbed run of a job leaves, computed in this process from the method's values and the same seeds.

Trials with no fault hold the live system to it; so what is computed here is what an undisturbed run gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from models.method import Arrays, SiteData, Update, derive_seed
from protos.jobs import JobSpec
from protos.tensors import write_tensors
from tests.faults.injected.drill import METHOD, Settings
from tests.faults.scenarios import Scenario


@dataclass(frozen=True)
class Reference:
    """An undisturbed run.

    Attributes:
        updates: (round, site) -> digest of each update that counts; the round is the one that it was made for.
        globals: digest of each round's global model.
        installs: the sites that run the last one in the end.
        sent: (round, site) of all updates that leave a site, also of those that are rejected.
    """

    updates: Mapping[tuple[int, str], str]
    globals: Sequence[str]
    installs: Sequence[str]
    sent: frozenset[tuple[int, str]]


def run_undisturbed(spec: JobSpec, scenario: Scenario, scratch: Path) -> Reference:
    """The whole job of the method `drill`, with a file in `scratch`."""
    settings = Settings(rows=scenario.rows, steps=0)
    counting = {(n - age, site) for n, sites in enumerate(scenario.counted, 1) for site, age in sites.items()}
    sent = frozenset({*counting, *scenario.rejected})
    states: dict[str, Arrays] = {}
    updates: dict[tuple[int, str], Update] = {}
    past: list[Arrays] = []
    for number, counted in enumerate(scenario.counted, 1):
        previous = past[-1] if past else None
        for site in sorted(site for made_for, site in sent if made_for == number):
            seed = derive_seed(spec.seed, number, site)
            data, state = SiteData([], "", {}, scratch, site), states.get(site, {})
            result = METHOD.local_update(settings, data, previous, state, seed, lambda *_: None)
            states[site] = result.state
            updates[number, site] = Update(site, result.weight, result.update)
        received = []
        for site, age in sorted(counted.items()):
            made = updates[number - age, site]
            received.append(Update(site, made.weight, made.arrays, (1 + age) ** -spec.rounds.staleness))
        seed = derive_seed(spec.seed, number, "coordinator")
        past.append(METHOD.aggregate(settings, previous, received, seed).arrays)
    digests = {key: _digest(updates[key].arrays, scratch) for key in counting}
    return Reference(digests, [_digest(arrays, scratch) for arrays in past], scenario.installs, sent)


def _digest(arrays: Arrays, scratch: Path) -> str:
    path = scratch / "reference.safetensors"
    write_tensors(path, arrays)
    return blake3(path.read_bytes()).hexdigest()
