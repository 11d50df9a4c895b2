"""One model of the sites' weights by the job's rule, and what was done with each site's update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from models.fedavg.by_value import Merged, mean, median, trimmed
from models.fedavg.check import unlike
from models.fedavg.clipping import shortened
from models.fedavg.krum import krum, multi_krum
from models.fedavg.mean import weighted_mean
from models.fedavg.settings import Rule, aggregation_of
from models.fedavg.stack import Stack
from models.method import Aggregated, Arrays, RejectedUpdate, Update
from models.parts import layout_of

MOST_WEIGHT: Final = 2.0**53  # examples beyond this cannot be counted one by one

_RULES: Final[Mapping[Rule, Callable[[Stack, int], Merged]]] = {
    "mean": mean,
    "trimmed-mean": trimmed,
    "median": median,
    "krum": krum,
    "multi-krum": multi_krum,
}


def aggregate(settings: Any, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    """What `settings.aggregation` makes of the updates, in their own dtype; their order plays no part.

    An update that does not fit the others, or with an absurd weight, is left out with a remark.

    Raises:
        RejectedUpdate: no majority of the updates has the same tensors.
        ValueError: no updates, or fewer than the rule needs.
    """
    del seed
    chosen = aggregation_of(settings)
    fitting, remarks = taken_together(sorted(updates, key=lambda update: update.site), previous)
    if not fitting:
        raise ValueError("there is no update to average")
    if len(fitting) < chosen.fewest:
        raise ValueError(
            f"{chosen.rule} against {chosen.assumed_bad} bad sites needs {chosen.fewest} updates and has "
            f"{len(fitting)}; set the job's quorum to {chosen.fewest}, or assumed_bad lower"
        )
    if chosen.plain:
        return Aggregated(weighted_mean(fitting), remarks)
    stack, clipped = shortened(Stack(fitting, previous), chosen)
    merged, judged = _RULES[chosen.rule](stack, chosen.assumed_bad)
    for site, remark in (*clipped.items(), *judged.items()):
        remarks[site] = f"{remarks[site]}; {remark}" if site in remarks else remark
    return Aggregated(merged, remarks)


def taken_together(updates: Sequence[Update], previous: Arrays | None) -> tuple[list[Update], dict[str, str]]:
    """The updates that can be taken together, and why others cannot; of a first round, most have the same tensors."""
    remarks: dict[str, str] = {}
    model = _model(updates) if previous is None else previous
    fitting = []
    for update in updates:
        if not 0 < update.weight <= MOST_WEIGHT:
            remarks[update.site] = f"left out: its weight is {update.weight:g}, not above 0 and at most 2^53"
            continue
        if fault := unlike(update.arrays, model, "most updates" if previous is None else "the last model"):
            remarks[update.site] = f"left out: {fault}"
            continue
        fitting.append(update)
    return fitting, remarks


def _model(updates: Sequence[Update]) -> Arrays:
    """An update with the tensors that more than half of a first round's have: no single site says what is right."""
    if not updates:
        return {}
    forms = [frozenset((name, layout_of(one.arrays, name)) for name in one.arrays) for one in updates]
    form, count = Counter(forms).most_common(1)[0]
    first = updates[forms.index(form)]
    if 2 * count > len(updates):
        return first.arrays
    odd = updates[next(index for index, other in enumerate(forms) if other != form)]
    fault = unlike(odd.arrays, first.arrays, f"that of {first.site}")
    raise RejectedUpdate(f"no majority of the updates has the same tensors; {odd.site}: {fault}")
