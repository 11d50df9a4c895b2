"""The coordinator's half of FedDyMem: refuses banks that cannot be right, and makes one memory of the others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from models.feddymem.settings import Settings
from models.kmeans import kmeans
from models.memory import MemoryBank, concatenate, from_arrays, to_arrays
from models.method import Aggregated, Arrays, Declaration, RejectedUpdate, Update

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
    lengths = np.linalg.norm(bank.rows, axis=1)
    if not lengths.all():
        raise RejectedUpdate(f"{int((lengths == 0).sum())} of {len(bank)} rows are all zero")
    if lengths.max() > _LONGEST:
        raise RejectedUpdate(f"the longest row has length {lengths.max():.3g}; means of unit features are at most 1")


def aggregate(settings: Settings, previous: Arrays | None, updates: Iterable[Update], seed: int) -> Aggregated:
    """The global memory: k-means of all rows, each row counted once, or simply all rows.

    Rows are not weighted by their counts: weighted, a large site's product takes the centres and a small site's
    product is forgotten. With fewer rows than the job asks for, each row stays as it is.

    Raises:
        ValueError: no updates.
    """
    everything = concatenate([from_arrays(update.arrays) for update in updates])
    if not settings.aggregation.kmeans:
        return Aggregated(to_arrays(everything))
    clusters = kmeans(everything.rows, settings.aggregation.rows, seed, n_init=10, max_iter=300)
    counts = np.bincount(clusters.labels, everything.counts, len(clusters.centres)).astype(np.float32)
    return Aggregated(to_arrays(MemoryBank(clusters.centres, counts)))
