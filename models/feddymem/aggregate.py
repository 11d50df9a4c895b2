"""The coordinator's half of FedDyMem: refuses banks that cannot be right, and makes one memory of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.feddymem.settings import Aggregation, Settings
from models.feddymem.support import support
from models.kmeans import kmeans
from models.memory import MemoryBank, concatenate, from_arrays, to_arrays
from models.method import Aggregated, Arrays, Declaration, RejectedUpdate, Update

Received = tuple[Update, MemoryBank]

_MOST_PATCHES = 1e12  # that a row stands for; sums of such counts still fit into float32
_LONGEST = 1.01  # patch features have length 1 and rows are means of them; the rest is float16 rounding


def check(settings: Settings, declaration: Declaration, previous: Arrays | None, arrays: Arrays) -> None:
    """Raises `RejectedUpdate` with the figures unless `arrays` can be the bank of a site that declared so."""
    del previous
    try:
        bank = from_arrays(arrays)
    except ValueError as error:
        raise RejectedUpdate(str(error)) from error
    width = int(declaration["width"])
    if bank.width != width:
        raise RejectedUpdate(f"the rows have {bank.width} features where the site declared {width}")
    most = settings.memory.upload_rows if settings.memory.reduce else settings.memory.rows
    if len(bank) > most:
        raise RejectedUpdate(f"{len(bank)} rows where the job takes at most {most} per site")
    if bank.counts.max() > _MOST_PATCHES:
        raise RejectedUpdate(f"a row stands for {bank.counts.max():.3g} patches; {_MOST_PATCHES:g} are the most")
    lengths = np.linalg.norm(bank.rows, axis=1)
    if not lengths.all():
        raise RejectedUpdate(f"{int((lengths == 0).sum())} of {len(bank)} rows are all zero")
    if lengths.max() > _LONGEST:
        raise RejectedUpdate(f"the longest row has length {lengths.max():.3g}; means of unit features are at most 1")


def fewest_updates(settings: Settings) -> int:
    """With f bad sites assumed, f + 1 honest ones are needed for an honest row to find f others that vouch for it."""
    return 2 * settings.aggregation.assumed_bad + 1


def aggregate(settings: Settings, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    """The global memory: k-means of all rows, each row counted once, or simply all rows.

    Rows are not weighted by their counts: weighted, a large site's product takes the centres and a small site's
    product is forgotten. A stale bank's rows weigh its discount. With fewer rows than the job asks for, each row stays
    as it is.

    Raises:
        ValueError: no updates, fewer than needed, or none whose rows are vouched for.
    """
    del previous
    chosen = settings.aggregation
    remarks: dict[str, str] = {}
    received = [(update, from_arrays(update.arrays)) for update in updates]
    if chosen.assumed_bad:
        if len(received) < (needed := fewest_updates(settings)):
            raise ValueError(
                f"against {chosen.assumed_bad} bad sites {needed} banks are needed and there are {len(received)}; "
                f"set the job's quorum to {needed}, or assumed_bad lower"
            )
        received, remarks = _vouched(received, chosen)
    everything = concatenate([bank for _, bank in received])
    weight = np.concatenate([np.full(len(bank), update.discount, np.float32) for update, bank in received])
    if not chosen.kmeans:
        return Aggregated(to_arrays(everything), remarks)
    clusters = kmeans(
        everything.rows, chosen.rows, seed, n_init=10, max_iter=300, sample_weight=weight, trim=chosen.trim
    )
    kept = clusters.labels >= 0
    counts = np.bincount(clusters.labels[kept], everything.counts[kept], len(clusters.centres)).astype(np.float32)
    return Aggregated(to_arrays(MemoryBank(clusters.centres, counts)), remarks)


def _vouched(received: Sequence[Received], chosen: Aggregation) -> tuple[list[Received], dict[str, str]]:
    """The banks without the rows that too few sites vouch for, and what became of whose bank."""
    found = support([bank for _, bank in received], chosen.assumed_bad)
    kept: list[Received] = []
    remarks: dict[str, str] = {}
    for index, (update, bank) in enumerate(received):
        far, distances = found.far(index), found.distances[index]
        rejected = far.all() or (chosen.far == "reject" and 2 * far.sum() > len(bank))
        if far.any():
            what = "the bank is left out" if rejected else "these rows are left out"
            remarks[update.site] = (
                f"{far.sum()} of {len(bank)} rows lie farther than {found.reach:.3g} from those of all but "
                f"{chosen.assumed_bad - 1} other sites, the farthest {distances.max():.3g}: {what}"
            )
        if not rejected:
            kept.append((update, MemoryBank(bank.rows[~far], bank.counts[~far])))
    if not kept:
        raise ValueError("no bank is left: " + "; ".join(f"{site}: {remark}" for site, remark in remarks.items()))
    return kept, remarks
