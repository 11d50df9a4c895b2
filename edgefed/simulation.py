"""A job in one process: the same method values and seeds as the live system, without network or coordinator.

A simulated job and a live one over the same data give the same global bytes; the end-to-end test holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.method import Arrays, Declaration, LocalResult, SiteData, Update, derive_seed
from protos.errors import Refused
from protos.jobs import JobSpec

Progress = Callable[[str, int, str, int, int], None]
"""`progress(site, round, stage, step, steps)`."""


@dataclass(frozen=True)
class Simulation:
    """What a simulated job leaves.

    Attributes:
        final: the global arrays of the last round.
        states: site -> what stays at the site after its last round.
    """

    final: Arrays
    states: Mapping[str, Arrays]


def simulate(spec: JobSpec, sites: Mapping[str, SiteData], progress: Progress | None = None) -> Simulation:
    """Runs every round of a job at the given sites, one after the other.

    Args:
        spec: the job; its list of sites and its timeouts play no part here.
        sites: name -> data, at least one.
        progress: called as the work goes on.

    Raises:
        Refused: the sites' declarations differ.
        models.method.Unusable: a site cannot do the job with its data or backbone.
        models.method.RejectedUpdate: a site made an update that the coordinator would reject.
    """
    method, settings = spec.the_method, spec.the_settings
    tell: Progress = progress or (lambda site, round_, stage, step, steps: None)
    declaration = _common_declaration({site: method.declare(settings, data) for site, data in sites.items()})
    final: Arrays | None = None
    states: dict[str, Arrays] = {site: {} for site in sites}
    for number in range(1, spec.rounds.count + 1):
        updates = []
        for site, data in sorted(sites.items()):
            result = _local_round(spec, site, data, final, states[site], number, tell)
            method.check(settings, declaration, final, result.update)
            states[site] = result.state
            updates.append(Update(site, result.weight, result.update))
        final = method.aggregate(settings, final, updates, derive_seed(spec.seed, number, "coordinator")).arrays
    assert final is not None  # a job has at least one round
    return Simulation(final, states)


def _local_round(
    spec: JobSpec, site: str, data: SiteData, previous: Arrays | None, state: Arrays, number: int, tell: Progress
) -> LocalResult:
    def report(stage: str, step: int, steps: int) -> None:
        tell(site, number, stage, step, steps)

    seed = derive_seed(spec.seed, number, site)
    return spec.the_method.local_update(spec.the_settings, data, previous, state, seed, report)


def _common_declaration(declarations: Mapping[str, Declaration]) -> Declaration:
    first_site, first = next(iter(declarations.items()))
    for site, other in declarations.items():
        for key in sorted(first.keys() | other.keys()):
            if first.get(key) != other.get(key):
                raise Refused(f"{site} declares {key} {other.get(key)}, but {first_site} {first.get(key)}")
    return first
