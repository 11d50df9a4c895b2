"""When which mishap happens in a run, and what it does to each connection: drawn once, by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from random import Random

from edgefed.chaos.faults import Faults, Schedule, Toxics, sometimes
from edgefed.chaos.profiles import Mishap, Profile


@dataclass(frozen=True)
class Planned:
    """A mishap to come; times in seconds since the run began."""

    mishap: Mishap
    begins: float
    ends: float


def plan(profile: Profile, *, seconds: float, speed: float, seed: int) -> tuple[Planned, ...]:
    """The mishaps of a run, in order; those that would not be over in time are left out.

    Args:
        profile: of the network.
        seconds: the run's length.
        speed: how many times faster than real life mishaps last and follow each other.
        seed: the same seed gives the same plan.
    """
    random = Random(seed)
    planned: list[Planned] = []
    begins = random.uniform(*profile.calm_s) / speed / 2  # the run starts amid a calm time
    for mishap in _in_turns(profile, random):
        ends = begins + random.uniform(*mishap.lasts_s) / speed
        if ends > seconds:
            return tuple(planned)
        planned.append(Planned(mishap, begins, ends))
        begins = ends + random.uniform(*profile.calm_s) / speed
    return ()


def first_end_s(profile: Profile, speed: float) -> float:
    """A run of this many seconds has a mishap, whatever the seed."""
    return (profile.calm_s[1] / 2 + max(mishap.lasts_s[1] for mishap in profile.mishaps)) / speed


def faults_under(profile: Profile, planned: Planned, *, connections: int, seed: int) -> Schedule:
    """The faults of every connection while a mishap lasts.

    Args:
        profile: of the network.
        planned: the mishap and its time.
        connections: how many there have been when it begins.
        seed: decides, with the mishap's time, which connections are struck.
    """

    def struck(more: Faults) -> Schedule:
        drawn_by = f"{seed}/{planned.begins}"
        return sometimes(planned.mishap.share, on_top(profile.line, more), seed=drawn_by, otherwise=profile.line)

    running, arriving = struck(planned.mishap.running), struck(planned.mishap.arriving)
    return lambda number: running(number) if number <= connections else arriving(number)


def on_top(line: Faults, more: Faults) -> Faults:
    """The faults of a line with others on top: what these set counts, what they leave alone stays."""
    return replace(more, up=_toxics_on_top(line.up, more.up), down=_toxics_on_top(line.down, more.down))


def _toxics_on_top(line: Toxics, more: Toxics) -> Toxics:
    none = Toxics()
    names = (field.name for field in fields(Toxics))
    return replace(line, **{name: getattr(more, name) for name in names if getattr(more, name) != getattr(none, name)})


def _in_turns(profile: Profile, random: Random) -> Iterator[Mishap]:
    while True:
        yield from random.sample(profile.mishaps, len(profile.mishaps))
