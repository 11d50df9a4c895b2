"""What a run under faults has shown, as values, and what follows from it. Times are seconds since the run began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_STABLE_S = 1.0  # a connection that is there for a moment only, such as a command's, does not count


@dataclass(frozen=True)
class Incident:
    """A mishap that was injected and lifted again."""

    mishap: str
    began: float
    lifted: float


@dataclass(frozen=True)
class Sample:
    """From `at` on, so many connections carried bytes both ways and lost none."""

    at: float
    working: int


@dataclass(frozen=True)
class LeftOut:
    """A round that closed without a site, though nothing at the site kept it from delivering."""

    round: int
    site: str
    reason: str


@dataclass(frozen=True)
class JobRecord:
    """A job that ran meanwhile.

    Attributes:
        job: its name.
        outcome: "finished", "failed" or "cancelled"; empty where it still ran at the end.
        reason: why it failed.
        left_out: by rounds that closed during the run; none in asynchronous jobs, where rounds wait for nobody.
        twice: (round, site) of updates that were counted more than once.
    """

    job: str
    outcome: str
    reason: str
    left_out: tuple[LeftOut, ...]
    twice: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Observations:
    """Everything that objectives are judged by.

    Attributes:
        incidents: in order.
        samples: in order, one for each change.
        ended: when the run was over.
        jobs: that ran meanwhile, or None where nobody watched the coordinator.
        complete: False where the run was ended early: what had not come about by then is no fault.
    """

    incidents: tuple[Incident, ...]
    samples: tuple[Sample, ...]
    ended: float
    jobs: tuple[JobRecord, ...] | None
    complete: bool


def recovery_s(incident: Incident, samples: Sequence[Sample], now: float) -> float | None:
    """Seconds from the end of an incident until as many connections work as before it, and go on to for a second.

    Args:
        incident: which one.
        samples: in order of time, one for each change.
        now: until when was looked.

    Returns:
        None where they have not come back.
    """
    since = incident.began - _STABLE_S
    needed = min(working for _, _, working in _spans(samples, incident.began, since))
    back_at: float | None = None
    for start, end, working in _spans(samples, now, incident.lifted):
        back_at = (start if back_at is None else back_at) if working >= needed else None
        if back_at is not None and end - back_at >= _STABLE_S:
            return back_at - incident.lifted
    return None


def _spans(samples: Sequence[Sample], until: float, since: float) -> Iterator[tuple[float, float, int]]:
    """(start, end, working connections) of every stretch between two moments."""
    ends = [sample.at for sample in samples[1:]] + [until]
    for sample, end in zip(samples, ends, strict=True):
        start, end = max(sample.at, since), min(end, until)
        if start <= end:
            yield start, end, sample.working
